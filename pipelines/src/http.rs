//! As much of HTTP/1.1 (RFC 9112) as the live page needs: one request a connection, every size and every wait bounded, so that no client can hold up or end the
//! program that serves.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Largest head of a request.
const HEAD: usize = 16 * 1024;
/// Largest body of a request.
const BODY: usize = 64 * 1024;
/// Most lines of a head.
const LINES: usize = 64;
/// Connections at a time: a watcher who waits for a frame holds one.
const CONNECTIONS: usize = 64;
/// How long a whole request may take to come, and a whole answer to be taken.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What was asked.
pub struct Request {
    /// GET, POST, ...
    pub method: String,
    /// Path and query.
    pub url: String,
    heads: Vec<(String, String)>,
    /// What came with it.
    pub body: Vec<u8>,
}

impl Request {
    /// A line of its head.
    pub fn head(&self, name: &str) -> Option<&str> {
        self.heads.iter().find(|h| h.0.eq_ignore_ascii_case(name)).map(|h| h.1.as_str())
    }
}

/// What is answered.
pub struct Answer {
    code: u16,
    heads: Vec<(&'static str, String)>,
    body: Arc<Vec<u8>>,
}

impl Answer {
    /// An answer of a media type. What others hold too is not copied.
    pub fn new(code: u16, kind: &str, body: impl Into<Arc<Vec<u8>>>) -> Self {
        // Inside, all is ours: nothing else is loaded, framed or guessed.
        let heads = [
            ("Content-Type", kind),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            (
                "Content-Security-Policy",
                "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            ),
            ("Connection", "close"),
        ];
        Self { code, heads: heads.map(|(k, v)| (k, v.to_string())).into(), body: body.into() }
    }

    /// A line of text.
    pub fn told(code: u16, words: &str) -> Self {
        Self::new(code, "text/plain; charset=utf-8", words.as_bytes().to_vec())
    }

    /// With another line in its head.
    pub fn with(mut self, name: &'static str, value: String) -> Self {
        self.heads.push((name, value));
        self
    }

    fn write(&self, stream: &mut TcpStream, patience: Duration) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.code, if self.code < 400 { "OK" } else { "No" }).into_bytes();
        for (k, v) in &self.heads {
            head.extend_from_slice(format!("{k}: {v}\r\n").as_bytes());
        }
        // "No content" has no length either.
        let body: &[u8] = if self.code == 204 {
            head.extend_from_slice(b"\r\n");
            &[]
        } else {
            head.extend_from_slice(format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes());
            &self.body
        };
        // A client that takes a byte now and then is as good as one that takes none.
        let until = Instant::now() + patience;
        for mut rest in [head.as_slice(), body] {
            while !rest.is_empty() {
                stream.set_write_timeout(Some(left(until).ok_or(ErrorKind::TimedOut)?))?;
                match stream.write(&rest[..rest.len().min(1 << 18)]) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(n) => rest = &rest[n..],
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(())
    }
}

/// Time until then; none if it has come.
fn left(until: Instant) -> Option<Duration> {
    Some(until.saturating_duration_since(Instant::now())).filter(|d| !d.is_zero())
}

/// Reads on; what is refused has an answer, unless nobody is there any more.
fn more(stream: &mut TcpStream, got: &mut Vec<u8>, until: Instant) -> Result<(), Option<Answer>> {
    let late = || Some(Answer::told(408, "the request did not come in time"));
    stream.set_read_timeout(Some(left(until).ok_or_else(late)?)).map_err(|_| None)?;
    let mut piece = [0u8; 8192];
    match stream.read(&mut piece) {
        Ok(0) => Err(None),
        Ok(n) => {
            got.extend_from_slice(&piece[..n]);
            Ok(())
        }
        Err(e) if e.kind() == ErrorKind::Interrupted => Ok(()),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(late()),
        Err(_) => Err(None),
    }
}

/// One request.
fn read(stream: &mut TcpStream, patience: Duration) -> Result<Request, Option<Answer>> {
    let until = Instant::now() + patience;
    let mut got = Vec::new();
    let mut looked = 0;
    let end = loop {
        if let Some(k) = got[looked..].windows(4).position(|w: &[u8]| w == b"\r\n\r\n") {
            break looked + k + 4;
        }
        if got.len() > HEAD {
            return Err(Some(Answer::told(431, "the head of this request is too long")));
        }
        looked = got.len().saturating_sub(3);
        more(stream, &mut got, until)?;
    };
    let mut lines = [httparse::EMPTY_HEADER; LINES];
    let mut parsed = httparse::Request::new(&mut lines);
    let (Ok(httparse::Status::Complete(_)), true) = (parsed.parse(&got[..end]), end <= HEAD) else {
        return Err(Some(Answer::told(400, "this is no request")));
    };
    let mut request = Request {
        method: parsed.method.unwrap_or_default().into(),
        url: parsed.path.unwrap_or_default().into(),
        heads: parsed.headers.iter().map(|h| (h.name.to_string(), String::from_utf8_lossy(h.value).into_owned())).collect(),
        body: Vec::new(),
    };
    if request.head("Transfer-Encoding").is_some() {
        return Err(Some(Answer::told(501, "a body comes whole, with its length")));
    }
    let length = match request.head("Content-Length").map(str::parse::<u64>) {
        None => 0,
        Some(Ok(n)) if n <= BODY as u64 => n as usize,
        Some(Ok(_)) => return Err(Some(Answer::told(413, "the body of this request is too long"))),
        Some(Err(_)) => return Err(Some(Answer::told(400, "the length of the body is no number"))),
    };
    request.body = got.split_off(end);
    while request.body.len() < length {
        more(stream, &mut request.body, until)?;
    }
    request.body.truncate(length);
    Ok(request)
}

/// Counts up while it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    /// None beyond `most`.
    fn new(counter: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        // Made first: its end takes back what was counted.
        let own = Self(counter.clone());
        (counter.fetch_add(1, Ordering::SeqCst) < most).then_some(own)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A server on its way; ends with it, and waits for nobody but answers that are being given, and for these not long.
pub struct Server {
    at: SocketAddr,
    stop: Arc<AtomicBool>,
    answering: Arc<AtomicUsize>,
}

impl Server {
    /// Begins to serve.
    ///
    /// # Errors
    /// An address that is taken or is not this machine's.
    pub fn start(
        socket: SocketAddr,
        patience: Duration,
        reply: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(socket)?;
        let at = listener.local_addr()?;
        let (stop, answering): (Arc<AtomicBool>, Arc<AtomicUsize>) = Default::default();
        let server = Self { at, stop: stop.clone(), answering: answering.clone() };
        let (reply, open) = (Arc::new(reply), Arc::<AtomicUsize>::default());
        std::thread::Builder::new().name("page".into()).spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let Ok((mut stream, _)) = listener.accept() else {
                    // Too many files are open, say: that may pass.
                    std::thread::sleep(Duration::from_millis(50));
                    continue;
                };
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let Some(counted) = Counted::new(&open, CONNECTIONS) else {
                    // Fits what the system buffers for a new connection: this does not wait.
                    let _ = Answer::told(503, "too many look on").write(&mut stream, Duration::from_millis(10));
                    continue;
                };
                let (reply, answering) = (reply.clone(), answering.clone());
                // Without a thread there is no answer; the connection closes.
                let _ = std::thread::Builder::new().name("watcher".into()).spawn(move || {
                    let _counted = counted;
                    converse(stream, patience, &*reply, &answering);
                });
            }
        })?;
        Ok(server)
    }

    /// Where it listens.
    pub fn at(&self) -> SocketAddr {
        self.at
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let ip = match self.at.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let _ = TcpStream::connect_timeout(&(ip, self.at.port()).into(), Duration::from_millis(200));
        let until = Instant::now() + Duration::from_millis(500);
        while self.answering.load(Ordering::SeqCst) > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// One connection.
fn converse(mut stream: TcpStream, patience: Duration, reply: &dyn Fn(&Request) -> Answer, answering: &Arc<AtomicUsize>) {
    let _ = stream.set_nodelay(true);
    match read(&mut stream, patience) {
        Ok(request) => {
            let _counted = Counted::new(answering, usize::MAX);
            let answer = catch_unwind(AssertUnwindSafe(|| reply(&request)))
                .unwrap_or_else(|_| Answer::told(500, "this request found an error of the program"));
            let _ = answer.write(&mut stream, patience);
        }
        Err(Some(answer)) => {
            if answer.write(&mut stream, patience).is_ok() && stream.shutdown(Shutdown::Write).is_ok() {
                // Closing with unread bytes would take the answer back: a little of them is read.
                let (until, mut rest) = (Instant::now() + Duration::from_secs(1).min(patience), Vec::new());
                while rest.len() < BODY && more(&mut stream, &mut rest, until).is_ok() {}
            }
        }
        Err(None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(300);

    fn server() -> Server {
        let reply = |r: &Request| {
            assert!(r.url != "/panic", "asked for");
            Answer::told(200, &format!("{} {} {}", r.method, r.url, String::from_utf8_lossy(&r.body)))
        };
        Server::start(([127, 0, 0, 1], 0).into(), SHORT, reply).unwrap()
    }

    fn connect(server: &Server) -> TcpStream {
        let stream = TcpStream::connect(server.at()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn ask(server: &Server, text: &[u8]) -> String {
        let mut stream = connect(server);
        stream.write_all(text).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn requests_are_answered_with_their_bodies() {
        let s = server();
        assert!(ask(&s, b"GET /a?b=1 HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("\r\n\r\nGET /a?b=1 "));
        assert!(ask(&s, b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").ends_with("POST /a abc"));
    }

    #[test]
    fn what_is_too_long_or_no_request_is_refused() {
        let s = server();
        let code = |text: &[u8]| ask(&s, text).split(' ').nth(1).unwrap_or_default().to_string();
        for length in ["1000000000000000", "18446744073709551615", "65537"] {
            assert_eq!(code(format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n").as_bytes()), "413");
        }
        assert_eq!(code(b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"), "400");
        assert_eq!(code(b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), "400");
        assert_eq!(code(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), "501");
        assert_eq!(code(b"\x16\x03\x01\x02\r\n\r\n"), "400");
        // A head without an end.
        let mut stream = connect(&s);
        stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        let line = [b'a'; 1024];
        let refused = (0..1000).find(|_| stream.write_all(b"X: ").and_then(|()| stream.write_all(&line)).is_err());
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        assert!(refused.is_some() || all.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&all));
        assert_eq!(code(b"GET / HTTP/1.1\r\n\r\n"), "200");
    }

    /// Clients that say nothing, or stop in the middle, hold up neither others nor the end.
    #[test]
    fn silent_clients_are_sent_away() {
        let s = server();
        let (mut silent, mut half) = (connect(&s), connect(&s));
        half.write_all(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc").unwrap();
        assert!(ask(&s, b"GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200"));
        for stream in [&mut silent, &mut half] {
            let mut all = String::new();
            stream.read_to_string(&mut all).unwrap();
            assert!(all.starts_with("HTTP/1.1 408"), "{all}");
        }
        let held: Vec<_> = (0..CONNECTIONS + 8).map(|_| connect(&s)).collect();
        let clock = Instant::now();
        drop(s);
        assert!(clock.elapsed() < Duration::from_secs(5));
        drop(held);
    }

    #[test]
    fn an_error_of_an_answer_ends_only_that_answer() {
        let s = server();
        for _ in 0..CONNECTIONS + 1 {
            assert!(ask(&s, b"GET /panic HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 500"));
        }
        assert!(ask(&s, b"GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200"));
    }
}
