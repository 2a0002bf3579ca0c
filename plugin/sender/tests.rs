use super::*;

use std::os::unix::net::UnixListener;

use executor_api::{LastMatch, Remedy, TargetRef, decode_intent};

fn intent(id: &str) -> Intent {
    Intent {
        id: id.into(),
        target: TargetRef::Name("app".into()),
        rule: "cuda-oom".into(),
        remedy: Remedy::Restart,
        times: vec![(1, 1)],
        last: LastMatch(1, None),
        sample: String::new(),
        tag: String::new(),
        source: "test".into(),
    }
}

#[test]
fn intents_of_one_id_are_sent_once_and_share_the_answer() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).expect("bound");
    let executor = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut heard = Vec::new();
        let mut lines = LineBuffer::default();
        let mut buffer = [0; 4_096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            lines.push(&buffer[..count]);
            while let Ok(Some(line)) = lines.pop() {
                let id = decode_intent(&line).expect("an intent").id;
                let answer = Answer {
                    id: id.clone(),
                    decision: Decision::Pending,
                    gate: None,
                    detail: None,
                };
                io::Write::write_all(&mut stream, &encode(None, &answer)).expect("written");
                heard.push(id);
            }
        }
        heard
    });
    let timeout = Duration::from_secs(5);
    let sender = Sender::new(&path, timeout);
    let intents = ["1", "2", "1"].map(intent);
    let order: Vec<&Intent> = intents.iter().collect();
    let exchange = sender.exchange(0, Instant::now() + timeout, &order);
    assert_eq!(exchange.fault, None);
    let ids: Vec<Option<String>> = exchange.answers.into_iter().map(|a| Some(a?.id)).collect();
    assert_eq!(ids, ["1", "2", "1"].map(|id| Some(id.to_string())));
    drop(sender);
    assert_eq!(executor.join().expect("no panic"), ["1", "2"]);
}
