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
    let sender = Sender::new(&path);
    let intents = ["1", "2", "1"].map(intent);
    let order: Vec<&Intent> = intents.iter().collect();
    let exchange = sender.exchange(0, Instant::now() + timeout, &order);
    assert_eq!(exchange.fault, None);
    let ids: Vec<Option<String>> = exchange.answers.into_iter().map(|a| Some(a?.id)).collect();
    assert_eq!(ids, ["1", "2", "1"].map(|id| Some(id.to_string())));
    drop(sender);
    assert_eq!(executor.join().expect("no panic"), ["1", "2"]);
}

/// A connection whose buffer holds as little as the kernel allows, and its peer.
fn narrow_connection() -> (Connection, Socket) {
    let (ours, theirs) = Socket::pair(Domain::UNIX, Type::STREAM, None).expect("a pair");
    ours.set_send_buffer_size(1).expect("the least");
    (Connection::new(ours).expect("a connection"), theirs)
}

#[test]
fn a_send_to_a_slow_reader_ends_at_the_deadline_and_not_once_a_piece() {
    let (connection, mut peer) = narrow_connection();
    let timeout = Duration::from_millis(200);
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        let mut total = 0;
        while let Ok(count @ 1..) = peer.read(&mut buffer) {
            total += count;
            std::thread::sleep(timeout / 2);
        }
        total
    });
    let bytes = vec![b'x'; WINDOW_BYTES];
    let began = Instant::now();
    let sent = connection.send(&bytes, began + timeout);
    let took = began.elapsed();
    assert!(
        sent.is_err_and(|e| e.kind() == ErrorKind::WouldBlock || e.kind() == ErrorKind::TimedOut)
    );
    assert!(took >= timeout && took < 2 * timeout, "{took:?}");
    drop(connection);
    assert!(reader.join().expect("no panic") < bytes.len());
}

#[test]
fn a_send_in_many_pieces_arrives_whole() {
    let (connection, mut peer) = narrow_connection();
    let bytes: Vec<u8> = (0..WINDOW_BYTES).map(|i| (i % 251) as u8).collect();
    assert!(connection.piece < bytes.len() / 10, "{}", connection.piece);
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).expect("read");
        all
    });
    let sent = connection.send(&bytes, Instant::now() + Duration::from_secs(5));
    assert!(sent.is_ok(), "{sent:?}");
    drop(connection);
    assert_eq!(reader.join().expect("no panic"), bytes);
}
