//! `healer check`: a doctor. Looks at everything that healing needs, says of
//! each how it is and what to do, and changes nothing.

pub(crate) mod finding;
pub(crate) mod fluent_bit;
