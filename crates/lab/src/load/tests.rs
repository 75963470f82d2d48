use super::*;

fn requests(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| post("/", &["x-a: 1".to_owned()], number.to_string().as_bytes())).collect()
}

fn address(catcher: &Catcher) -> SocketAddr {
    catcher.url().trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
}

/// Answers each connection's requests with these texts in turn, and says how many requests came.
fn answering(answers: &'static [&'static str]) -> (SocketAddr, thread::JoinHandle<usize>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut came = 0;
        let mut read = [0; 4_096];
        for answer in answers {
            assert!(stream.read(&mut read).unwrap() > 0);
            came += 1;
            stream.write_all(answer.as_bytes()).unwrap();
        }
        came
    });
    (address, thread)
}

#[test]
fn every_request_is_sent_once_over_however_many_connections() {
    let catcher = Catcher::start().unwrap();
    let requests = requests(100);
    let load = Load { address: address(&catcher), requests: &requests, connections: 4, pace: Pace::Closed };
    let sent = load.run().unwrap();
    let mut caught: Vec<u32> =
        catcher.take().iter().map(|caught| String::from_utf8_lossy(&caught.body).parse().unwrap()).collect();
    caught.sort_unstable();
    assert_eq!(caught, (0..100).collect::<Vec<_>>());
    assert_eq!((sent.posts.len(), sent.refused), (100, 0));
}

#[test]
fn at_a_given_rate_delay_counts_from_the_moment_at_which_a_request_was_due() {
    let catcher = Catcher::start().unwrap();
    let requests = requests(5);
    let load = Load { address: address(&catcher), requests: &requests, connections: 1, pace: Pace::Open(1_000.0) };
    let posts = load.run().unwrap().posts;
    let due: Vec<Duration> = posts.iter().map(|post| post.due.duration_since(posts[0].due)).collect();
    assert_eq!(due, (0..5).map(Duration::from_millis).collect::<Vec<_>>());
    assert!(posts.iter().all(|post| post.answered >= post.due));
}

#[test]
fn a_request_that_is_asked_to_wait_is_sent_again() {
    let (address, thread) = answering(&[
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ]);
    let requests = requests(1);
    let sent = Load { address, requests: &requests, connections: 1, pace: Pace::Closed }.run().unwrap();
    assert_eq!((sent.posts.len(), sent.refused, thread.join().unwrap()), (1, 1, 2));
}

#[test]
fn an_answer_that_is_a_fault_ends_the_run_with_its_words() {
    let (address, _thread) = answering(&["HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\ntoken"]);
    let requests = requests(1);
    let error = Load { address, requests: &requests, connections: 1, pace: Pace::Closed }.run().unwrap_err();
    assert_eq!(error.to_string(), "answered with 401: token");
}
