//! Answering with files.

use crate::raw::{Answer, Raw};
use bowline::{Exchange, Result, Server, ServerHandle, server_path};
use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

/// A directory that goes with its server.
struct Site {
    root: PathBuf,
    server: ServerHandle,
}

impl Site {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("bowline-files-{}-{number}", std::process::id()));
        fs::create_dir_all(root.join("dir")).unwrap();
        fs::write(root.join("ten.txt"), "0123456789").unwrap();
        fs::write(root.join("empty"), "").unwrap();
        let served = root.clone();
        let server = Server::bind("127.0.0.1:0").unwrap().spawn(move |exchange: Exchange| -> Result<()> {
            match server_path(&served, exchange.path()) {
                Some(path) => exchange.respond_file(path),
                None => exchange.reply(404, ()),
            }
        });
        Site { root, server: server.unwrap() }
    }

    fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let mut raw = Raw::connect(self.server.local_addr());
        raw.send(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"));
        let answer = if method == "HEAD" { raw.head() } else { raw.answer() };
        // The connection goes on, so nothing was left over.
        assert_eq!(raw.send("GET /none HTTP/1.1\r\nHost: x\r\n\r\n").answer().status(), 404);
        answer
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

#[test]
fn whole_files() {
    let site = Site::new();
    let answer = site.ask("GET", "/ten.txt", "");
    assert_eq!((answer.status(), answer.text()), (200, "0123456789"));
    assert_eq!(answer.get("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.get("accept-ranges"), Some("bytes"));
    assert!(answer.get("last-modified").unwrap().ends_with(" GMT"));
    let head = site.ask("HEAD", "/ten.txt", "");
    assert_eq!((head.status(), head.get("content-length"), head.get("etag")), (200, Some("10"), answer.get("etag")));
    let empty = site.ask("GET", "/empty", "");
    assert_eq!((empty.status(), empty.get("content-length")), (200, Some("0")));
    assert_eq!(empty.get("content-type"), Some("application/octet-stream"));
}

#[test]
fn what_is_no_file() {
    let site = Site::new();
    for path in ["/none.txt", "/dir", "/../x", "/%2e%2e/x", "/"] {
        assert_eq!(site.ask("GET", path, "").status(), 404, "{path}");
    }
    let post = site.ask("POST", "/ten.txt", "Content-Length: 0\r\n");
    assert_eq!((post.status(), post.get("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn ranges() {
    let site = Site::new();
    for (range, status, text, content_range) in [
        ("bytes=2-4", 206, "234", Some("bytes 2-4/10")),
        ("bytes=-3", 206, "789", Some("bytes 7-9/10")),
        ("bytes=8-100", 206, "89", Some("bytes 8-9/10")),
        ("bytes=10-", 416, "", Some("bytes */10")),
        ("bytes=0-1,4-5", 416, "", Some("bytes */10")),
        ("pages=1-2", 200, "0123456789", None),
    ] {
        let answer = site.ask("GET", "/ten.txt", &format!("Range: {range}\r\n"));
        assert_eq!((answer.status(), answer.get("content-range")), (status, content_range), "{range}");
        if status != 416 {
            assert_eq!(answer.text(), text, "{range}");
        }
    }
    let head = site.ask("HEAD", "/ten.txt", "Range: bytes=2-4\r\n");
    assert_eq!((head.status(), head.get("content-length")), (206, Some("3")));
}

#[test]
fn what_the_client_has_already() {
    let site = Site::new();
    let first = site.ask("GET", "/ten.txt", "");
    let (etag, modified) = (first.get("etag").unwrap(), first.get("last-modified").unwrap());
    for headers in [format!("If-None-Match: {etag}\r\n"), format!("If-Modified-Since: {modified}\r\n")] {
        let again = site.ask("GET", "/ten.txt", &headers);
        assert_eq!((again.status(), again.get("etag"), again.body.len()), (304, Some(etag), 0), "{headers}");
    }
    let part = site.ask("GET", "/ten.txt", &format!("Range: bytes=5-\r\nIf-Range: {etag}\r\n"));
    assert_eq!((part.status(), part.text()), (206, "56789"));
    fs::write(site.root.join("ten.txt"), "abcdefghijk").unwrap();
    let changed = site.ask("GET", "/ten.txt", &format!("Range: bytes=5-\r\nIf-Range: {etag}\r\n"));
    assert_eq!((changed.status(), changed.text()), (200, "abcdefghijk"));
    assert_eq!(site.ask("GET", "/ten.txt", &format!("If-None-Match: {etag}\r\n")).status(), 200);
    assert_eq!(site.ask("GET", "/ten.txt", &format!("If-Match: {etag}\r\n")).status(), 412);
}
