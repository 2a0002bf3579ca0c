//! The policy as a whole, driven in the real calling order.

mod act;
