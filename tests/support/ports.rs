//! Ports of loopback for the servers that tests start, or do not.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below those that the kernel gives to outgoing connections (32,768 and up, by
/// `ip_local_port_range`): one of theirs that is free now may be some connection's own end
/// before the server is there.
const FIRST: u16 = 20_000;
/// So many.
const COUNT: u16 = 10_000;

/// A port that nobody listens on, and that no other test of this process is given.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes side by side begin at different places.
    let begin = std::process::id().wrapping_mul(97) % u32::from(COUNT);
    let begin = u16::try_from(begin).expect("below the count");
    let ports = (0..COUNT).map(|_| {
        let nth = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        FIRST + (begin + nth) % COUNT
    });
    let mut free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("one of so many is free")
}
