//! `[FILTER]`s that may put what an application wrote in the place of what the
//! host says.
//!
//! Not here: which tags a filter matches; one that could reach the records is
//! worth a look.

use super::super::finding::Findings;
use super::model::{FluentBit, Kind, Section};

pub(super) fn check(read: &FluentBit, output: &Section, findings: &mut Findings) {
    if read.word(output, "target").as_deref() != Some("record") {
        return;
    }
    for filter in read.of_kind(Kind::Filter) {
        let reserves = read.word(filter, "reserve_data");
        let is_on = matches!(reserves.as_deref(), Some("on" | "true" | "yes"));
        if read.word(filter, "name").as_deref() == Some("parser") && !is_on {
            findings.warn(
                &filter.place,
                "this filter drops the record's own keys: a container_id in an application's \
                 text would be believed by Target record",
                "set Reserve_Data On, or keep it away from these records by its Match",
            );
        }
    }
}
