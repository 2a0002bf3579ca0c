//! The application of the demo: serves until it runs out of GPU memory, says so,
//! and then does nothing any more, as such applications do. Started again in the
//! same container it is well.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

fn main() {
    let mark = Path::new("/has-failed");
    if mark.exists() {
        println!("model loaded, serving");
    } else {
        println!("model loaded, serving");
        sleep(Duration::from_secs(3));
        if let Err(error) = std::fs::write(mark, "") {
            eprintln!("cannot write {}: {error}", mark.display());
        }
        eprintln!(
            "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB \
             (GPU 0; 23.69 GiB total capacity; 22.11 GiB already allocated)"
        );
    }
    loop {
        sleep(Duration::from_secs(3600));
    }
}
