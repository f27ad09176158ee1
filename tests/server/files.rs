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
    // Only GET has ranges (RFC 9110, section 14.2).
    assert_eq!((head.status(), head.get("content-length"), head.get("content-range")), (200, Some("10"), None));
}

/// Conditions and ranges together, by GET and by HEAD, which has no ranges (RFC 9110, sections 13 and 14).
#[test]
fn conditions_and_ranges() {
    let site = Site::new();
    let first = site.ask("GET", "/ten.txt", "");
    let (etag, modified) = (first.get("etag").unwrap().to_owned(), first.get("last-modified").unwrap().to_owned());
    let (before, after) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 01 Jan 2100 00:00:00 GMT");
    let range = |more: String| format!("Range: bytes=2-4\r\n{more}");
    #[rustfmt::skip]
    let table = [
        ("no condition", range(String::new()), 206),
        ("If-Range: the strong tag", range(format!("If-Range: {etag}\r\n")), 206),
        ("If-Range: the tag, weak", range(format!("If-Range: W/{etag}\r\n")), 200),
        ("If-Range: another tag", range("If-Range: \"x\"\r\n".to_owned()), 200),
        ("If-Range: the date", range(format!("If-Range: {modified}\r\n")), 206),
        ("If-Range: an earlier date", range(format!("If-Range: {before}\r\n")), 200),
        ("If-Range: a later date", range(format!("If-Range: {after}\r\n")), 200),
        ("If-Range: nonsense", range("If-Range: yesterday\r\n".to_owned()), 200),
        ("If-Range without a range", format!("If-Range: {etag}\r\n"), 200),
        ("If-None-Match: the tag", range(format!("If-None-Match: {etag}\r\n")), 304),
        ("If-None-Match: the tag, weak", range(format!("If-None-Match: W/{etag}\r\n")), 304),
        ("If-None-Match: one of several", range(format!("If-None-Match: \"x\", {etag}\r\n")), 304),
        ("If-None-Match: *", range("If-None-Match: *\r\n".to_owned()), 304),
        ("If-None-Match: another", range("If-None-Match: \"x\"\r\n".to_owned()), 206),
        ("If-None-Match before a date that has it", range(format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {modified}\r\n")), 206),
        ("If-None-Match before a date that has it not", range(format!("If-None-Match: {etag}\r\nIf-Modified-Since: {before}\r\n")), 304),
        ("If-Modified-Since: the date", range(format!("If-Modified-Since: {modified}\r\n")), 304),
        ("If-Modified-Since: earlier", range(format!("If-Modified-Since: {before}\r\n")), 206),
        ("If-Match: the tag", range(format!("If-Match: {etag}\r\n")), 206),
        ("If-Match: the tag, weak", range(format!("If-Match: W/{etag}\r\n")), 412),
        ("If-Unmodified-Since: earlier", range(format!("If-Unmodified-Since: {before}\r\n")), 412),
        ("If-Match before If-Unmodified-Since", range(format!("If-Match: {etag}\r\nIf-Unmodified-Since: {before}\r\n")), 206),
        ("beyond the end", "Range: bytes=10-11\r\n".to_owned(), 416),
        ("the last none", "Range: bytes=-0\r\n".to_owned(), 416),
        ("several", "Range: bytes=0-1, 3-4\r\n".to_owned(), 416),
        ("beyond the end, of another version", "Range: bytes=10-11\r\nIf-Range: \"x\"\r\n".to_owned(), 200),
        ("the wrong way round", "Range: bytes=4-2\r\n".to_owned(), 200),
    ];
    for (name, headers, status) in &table {
        let content_range = match status {
            206 => Some("bytes 2-4/10"),
            416 => Some("bytes */10"),
            _ => None,
        };
        let get = site.ask("GET", "/ten.txt", headers);
        assert_eq!((get.status(), get.get("content-range")), (*status, content_range), "{name}");
        match status {
            200 => assert_eq!(get.text(), "0123456789", "{name}"),
            206 => assert_eq!(get.text(), "234", "{name}"),
            304 | 412 => assert_eq!(get.body, b"", "{name}"),
            // In words why, not in bytes of the file.
            _ => assert!(get.text().contains("range"), "{name}"),
        }
        assert_eq!(get.get("etag"), Some(&*etag), "{name}");
        let head = site.ask("HEAD", "/ten.txt", headers);
        let (get, status) = match status {
            206 | 416 => (&first, 200),
            status => (&get, *status),
        };
        for field in ["content-length", "content-range", "content-type", "etag", "last-modified", "accept-ranges"] {
            assert_eq!(head.get(field), get.get(field), "{name}: {field} of HEAD");
        }
        assert_eq!(head.status(), status, "{name}: HEAD");
    }
    // Nothing of an empty file is in any range.
    for (range, status) in [("bytes=0-", 416), ("bytes=-1", 200), ("bytes=0-0", 416)] {
        let empty = site.ask("GET", "/empty", &format!("Range: {range}\r\n"));
        let content_range = (status == 416).then_some("bytes */0");
        assert_eq!((empty.status(), empty.get("content-range")), (status, content_range), "{range}");
    }
}

#[test]
fn no_path_leads_out_of_the_root() {
    let site = Site::new();
    let secret = site.root.with_extension("secret");
    fs::write(&secret, "secret").unwrap();
    let name = secret.file_name().unwrap().to_str().unwrap();
    for up in [
        "..",
        "%2e%2e",
        "%2E.",
        ".%2e",
        "dir/../..",
        "dir/%2e%2e/%2e%2e",
        "..%2f..",
        "%2e%2e%2f%2e%2e",
        "..%5c..",
        "..\\..",
        "%252e%252e",
        "..%00",
        "..;",
        "....",
        "%c0%ae%c0%ae",
        "%e0%80%ae%e0%80%ae",
        "..%u2216",
        "./..",
        "dir//..//..",
        "..%2f",
        "%5c..%5c..",
    ] {
        for path in
            [format!("/{up}/{name}"), format!("/{up}%2f{name}"), format!("/{up}\\{name}"), format!("/{up}%5c{name}")]
        {
            let mut raw = Raw::connect(site.server.local_addr());
            let answer = raw.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).answer();
            assert!(matches!(answer.status(), 400 | 404), "{path}: {}", answer.head);
        }
    }
    for path in [
        "/ten.txt%00",
        "/ten.txt%00.html",
        "/%00ten.txt",
        "/ten.txt%2f",
        "/ten.txt/",
        "/ten.txt/..",
        "/dir/%2e%2e/ten.txt",
    ] {
        let answer = site.ask("GET", path, "");
        assert_eq!(answer.status(), 404, "{path}");
    }
    fs::remove_file(secret).unwrap();
}

#[test]
fn what_the_client_has_already() {
    let site = Site::new();
    let first = site.ask("GET", "/ten.txt", "");
    let (etag, modified) = (first.get("etag").unwrap(), first.get("last-modified").unwrap());
    for headers in [format!("If-None-Match: {etag}\r\n"), format!("If-Modified-Since: {modified}\r\n")] {
        let again = site.ask("GET", "/ten.txt", &headers);
        assert_eq!((again.status(), again.get("etag"), again.body.len()), (304, Some(etag), 0), "{headers}");
        // It says what the client needs to know, and nothing else (RFC 9110, section 15.4.5).
        for field in ["last-modified", "accept-ranges", "content-type", "content-length"] {
            assert_eq!(again.get(field), None, "{headers}");
        }
    }
    let part = site.ask("GET", "/ten.txt", &format!("Range: bytes=5-\r\nIf-Range: {etag}\r\n"));
    assert_eq!((part.status(), part.text()), (206, "56789"));
    fs::write(site.root.join("ten.txt"), "abcdefghijk").unwrap();
    let changed = site.ask("GET", "/ten.txt", &format!("Range: bytes=5-\r\nIf-Range: {etag}\r\n"));
    assert_eq!((changed.status(), changed.text()), (200, "abcdefghijk"));
    assert_eq!(site.ask("GET", "/ten.txt", &format!("If-None-Match: {etag}\r\n")).status(), 200);
    assert_eq!(site.ask("GET", "/ten.txt", &format!("If-Match: {etag}\r\n")).status(), 412);
}

/// RFC 9110, section 8.8.2.1: no later than the Date of the answer.
#[test]
fn a_file_from_the_future() {
    let site = Site::new();
    let file = fs::File::options().write(true).open(site.root.join("ten.txt")).unwrap();
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(86_400)).unwrap();
    let answer = site.ask("GET", "/ten.txt", "");
    let modified = answer.get("last-modified").unwrap().to_owned();
    // It is the present, which may be a second later by the Date.
    let before = std::time::Instant::now();
    loop {
        let again = site.ask("GET", "/ten.txt", "");
        if again.get("date") == again.get("last-modified") {
            break;
        }
        assert!(before.elapsed() < crate::raw::LONG, "{modified} and {}", again.head);
    }
    assert_eq!(site.ask("GET", "/ten.txt", &format!("If-Modified-Since: {modified}\r\n")).status(), 200);
}
