//! Answering with files.

use super::{
    conditions::{Outcome, Version, evaluate},
    exchange::Exchange,
};
use crate::{
    drive::Body,
    error::{Error, Result},
    time::date,
};
use http::{HeaderValue, Method, Response, StatusCode, header};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// The media types of the files a small server has; others are `application/octet-stream`.
const TYPES: [(&str, &str); 22] = [
    ("avif", "image/avif"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("gif", "image/gif"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp4", "video/mp4"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webp", "image/webp"),
    ("woff2", "font/woff2"),
    ("xml", "application/xml"),
];

/// Returns the file or directory below `root` that the path of a URL names; `None` if there is none, or it would be elsewhere.
///
/// The path is split at its slashes first and unescaped after that, so an escaped slash separates nothing; a segment that is `..`
/// or holds a slash, a backslash or NUL names nothing, and one with a slash at its end no file. Symbolic links are followed as long as they lead to something below
/// `root`. Names that begin with a dot are names like others.
///
/// Whoever can change the files below `root` while a request is served can lead it elsewhere; nobody else can.
///
/// # Examples
///
/// ```
/// use bowline::server_path;
///
/// let root = std::env::temp_dir();
/// assert!(server_path(&root, "/").is_some());
/// assert!(server_path(&root, "/../etc/passwd").is_none());
/// assert!(server_path(&root, "/%2e%2e/etc/passwd").is_none());
/// ```
pub fn resolve(root: impl AsRef<Path>, url_path: &str) -> Option<PathBuf> {
    let root = fs::canonicalize(root).ok()?;
    let mut path = root.clone();
    let mut directory = true;
    for segment in url_path.split('/') {
        let name = unescape(segment)?;
        let breaks_out = name == ".." || name.contains(['/', '\\', '\0']) || cfg!(windows) && name.contains(':');
        if breaks_out {
            return None;
        }
        directory = name.is_empty() || name == ".";
        if !directory {
            path.push(name);
        }
    }
    // Links are resolved here, and what they lead to is held against the root.
    fs::canonicalize(path).ok().filter(|found| found.starts_with(&root) && (!directory || found.is_dir()))
}

/// Returns what a segment of a path means; `None` if it is not UTF-8 or an escape is broken.
fn unescape(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte == b'%' {
            let digit = |b: u8| char::from(b).to_digit(16);
            let [high, low, ..] = *rest else { return None };
            bytes.push((digit(high)? * 16 + digit(low)?) as u8);
            rest = &rest[2..];
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

impl Exchange {
    /// Answers with a file, to GET and HEAD: with the whole of it, with one range (206), or with the news that the client has it
    /// already (304). Conditions are understood, `If-Range` included; more than one range at a time is refused (416).
    ///
    /// The path is the program's: [`server_path`](crate::server_path) makes one of a URL's. What is no file, or cannot be opened, is answered with 404,
    /// other methods with 405. ETag is made from the time of modification and the length.
    ///
    /// # Errors
    ///
    /// As [`respond`](Self::respond). A file that became shorter meanwhile is an error, and the client sees that something is
    /// missing.
    pub fn respond_file(self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if !matches!(*self.method(), Method::GET | Method::HEAD) {
            return self.respond(response(
                StatusCode::METHOD_NOT_ALLOWED,
                &[(header::ALLOW, "GET, HEAD")],
                Body::empty(),
            )?);
        }
        let Ok((file, version)) = open(path) else { return self.reply(StatusCode::NOT_FOUND, ()) };
        let len = version.len;
        // A time in the future is none that a server may give (RFC 9110, section 8.8.2.1).
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let modified = version.modified.map(|at| date::imf_fixdate(at.min(now)));
        let mut fields = vec![(header::ETAG, version.etag.as_str()), (header::ACCEPT_RANGES, "bytes")];
        if let Some(modified) = &modified {
            fields.push((header::LAST_MODIFIED, modified));
        }
        let content_type = (header::CONTENT_TYPE, media_type(path));
        let range;
        match evaluate(self.method(), self.headers(), &version) {
            Outcome::Failed => self.respond(response(StatusCode::PRECONDITION_FAILED, &fields, Body::empty())?),
            // What the client has says all else (RFC 9110, section 15.4.5).
            Outcome::NotModified => self.respond(response(StatusCode::NOT_MODIFIED, &fields[..1], Body::empty())?),
            Outcome::Unsatisfiable => {
                range = format!("bytes */{len}");
                fields.push((header::CONTENT_RANGE, &range));
                let text = "One range within the file is what can be had.\n".as_bytes().to_vec();
                self.respond(response(StatusCode::RANGE_NOT_SATISFIABLE, &fields, Body::from_vec(text))?)
            }
            Outcome::Partial(from, to) => {
                range = format!("bytes {from}-{}/{len}", to - 1);
                fields.extend([(header::CONTENT_RANGE, range.as_str()), content_type]);
                self.respond(response(StatusCode::PARTIAL_CONTENT, &fields, Body::from_file_range(file, from, to))?)
            }
            Outcome::Whole => {
                fields.push(content_type);
                self.respond(response(StatusCode::OK, &fields, Body::from_file_range(file, 0, len))?)
            }
        }
    }
}

fn response(status: StatusCode, fields: &[(header::HeaderName, &str)], body: Body) -> Result<Response<Body>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in fields {
        let value = HeaderValue::try_from(*value).map_err(|e| Error::invalid(e.to_string()))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// Opens a file, and nothing that only looks like one: opening a pipe would wait for its writer.
fn open(path: &Path) -> io::Result<(File, Version)> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let etag = format!("\"{:x}-{:x}\"", modified.unwrap_or_default().as_nanos(), metadata.len());
    Ok((file, Version { etag, modified: modified.map(|at| at.as_secs()), len: metadata.len() }))
}

fn media_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let known = TYPES.iter().find(|(e, _)| extension.eq_ignore_ascii_case(e));
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_the_root() {
        let base = std::env::temp_dir().join(format!("bowline-resolve-{}", std::process::id()));
        let root = base.join("root");
        fs::create_dir_all(root.join("sub dir")).unwrap();
        fs::write(root.join("sub dir/a+b.txt"), "x").unwrap();
        fs::write(base.join("secret"), "x").unwrap();
        fs::create_dir_all(base.join("root-beside")).unwrap();
        fs::write(base.join("root-beside/secret"), "x").unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(base.join("secret"), root.join("out")).unwrap();
            std::os::unix::fs::symlink(root.join("sub dir"), root.join("in")).unwrap();
        }
        let file = fs::canonicalize(root.join("sub dir/a+b.txt")).unwrap();
        for path in ["/sub%20dir/a+b.txt", "sub%20dir/a%2Bb.txt", "//sub%20dir/./a+b.txt", "/in/a+b.txt"] {
            if cfg!(unix) || !path.starts_with("/in") {
                assert_eq!(resolve(&root, path).as_deref(), Some(&*file), "{path}");
            }
        }
        for path in [
            "/../secret",
            "/%2e%2e/secret",
            "/.%2E/secret",
            "/sub%20dir/../../secret",
            "/..%2fsecret",
            "/%2e%2e%2fsecret",
            "/..\\secret",
            "/..%5csecret",
            "/%00",
            "/out",
            "/../root-beside/secret",
            "/%",
            "/%2",
            "/%zz",
            "/%ff",
            "/none",
            "/sub%20dir/a+b.txt/",
            "/sub%20dir/a+b.txt/.",
        ] {
            assert_eq!(resolve(&root, path), None, "{path}");
        }
        fs::remove_dir_all(base).unwrap();
    }
}
