//! A loopback HTTP server that answers, or fails to, as a test wants it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What the server does with a request.
#[derive(Clone)]
pub enum Answer {
    /// Sends all of it.
    Body(Vec<u8>),
    /// Promises all of it, sends half, and hangs up.
    CutShort(Vec<u8>),
    /// Sends half and then nothing, with the connection open.
    Stall(Vec<u8>),
    /// All of it, in small pieces with pauses.
    Slow(Vec<u8>),
    /// Sends this status and no body.
    Status(u16),
}

/// The server, until the test ends.
pub struct Server {
    /// What a path comes behind: `http://127.0.0.1:1234`.
    pub base: String,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers 404 until told otherwise.
    pub fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = Server {
            base,
            answers: Arc::default(),
            requests: Arc::default(),
        };
        let (answers, requests) = (Arc::clone(&server.answers), Arc::clone(&server.requests));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, requests) = (Arc::clone(&answers), Arc::clone(&requests));
                thread::spawn(move || serve(stream, &answers, &requests));
            }
        });
        server
    }

    /// From now on, the answer for this path.
    pub fn put(&self, path: &str, answer: Answer) {
        self.answers
            .lock()
            .unwrap()
            .insert(format!("/{path}"), answer);
    }

    /// How often it was asked for anything.
    pub fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// A base at which nobody listens.
    #[cfg(test)]
    pub(crate) fn nobody() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }
}

fn serve(
    mut stream: TcpStream,
    answers: &Mutex<HashMap<String, Answer>>,
    requests: &Mutex<Vec<String>>,
) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(request)) = lines.next() else {
        return;
    };
    lines.find(|line| line.as_ref().is_ok_and(String::is_empty));
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let answer = answers
        .lock()
        .unwrap()
        .get(&path)
        .cloned()
        .unwrap_or(Answer::Status(404));
    requests.lock().unwrap().push(path);
    // The client may hang up first: that is its right.
    let _ = respond(&mut stream, answer);
}

fn respond(stream: &mut TcpStream, answer: Answer) -> std::io::Result<()> {
    let head = |status: u16, length: usize| {
        format!(
            "HTTP/1.1 {status} Whatever\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )
    };
    match answer {
        Answer::Status(status) => stream.write_all(head(status, 0).as_bytes()),
        Answer::Body(body) => {
            stream.write_all(head(200, body.len()).as_bytes())?;
            stream.write_all(&body)
        }
        Answer::CutShort(body) => {
            stream.write_all(head(200, body.len()).as_bytes())?;
            stream.write_all(&body[..body.len() / 2])
        }
        Answer::Stall(body) => {
            stream.write_all(head(200, body.len()).as_bytes())?;
            stream.write_all(&body[..body.len() / 2])?;
            thread::sleep(Duration::from_secs(5));
            Ok(())
        }
        Answer::Slow(body) => {
            stream.write_all(head(200, body.len()).as_bytes())?;
            for piece in body.chunks(body.len().div_ceil(8)) {
                stream.write_all(piece)?;
                stream.flush()?;
                thread::sleep(Duration::from_millis(100));
            }
            Ok(())
        }
    }
}
