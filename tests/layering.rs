//! Imports point down: the table of ARCHITECTURE.md as data, and the lines of `src/` that break it.
//!
//! What is read is the code without comments, strings, `#[cfg(test)]` items and `tests.rs` files: tests may reach anywhere.
//! Paths through a renamed import (`use std as s`) and `super` inside inline modules are beyond this checker.

#[path = "layering/source.rs"]
mod source;

use source::{Path, paths, test_modules, without_comments, without_tests};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path as FilePath,
};

/// Which modules of this crate each may name, besides itself and level 0.
const TABLE: &[(&str, &[&str])] = &[
    ("client", &["drive", "net", "proto", "ws"]),
    ("drive", &["net", "proto"]),
    ("mcp", &["client", "server", "sse"]),
    ("server", &["drive", "net", "proto", "ws"]),
    ("sse", &["client", "server", "drive", "proto"]),
    ("transfer", &["client"]),
    ("ws", &["drive", "net", "proto"]),
];

/// Modules that do not get all of level 0, with everything they may name.
const NARROW: &[(&str, &[&str])] =
    &[("guide", &[]), ("net", &["b64", "buf", "error", "time"]), ("proto", &["b64", "buf", "fields"])];

/// Nothing of this crate is below these.
const LEVEL_0: &[&str] = &["b64", "buf", "error", "fields", "recv", "time"];

/// Where each outside crate may be named: a module, with the files of its directory. `*` is everywhere.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("base64", &["b64"]),
    ("bytes", &["fields"]),
    ("flate2", &["drive::inflate", "proto::ws::deflate"]),
    ("http", &["*"]),
    ("rustix", &["net::sys"]),
    ("rustls", &["net::tls"]),
    // The traits stand in the signatures of the JSON methods.
    ("serde", &["client::json", "client::request", "client::response"]),
    ("serde_json", &["client::json"]),
    ("sha1_smol", &["proto::ws::handshake"]),
    ("webpki_roots", &["net::tls"]),
];

/// What an engine never names: it has neither sockets nor threads nor a clock.
const NOT_IN_ENGINES: &[&[&str]] = &[
    &["std", "io"],
    &["std", "net"],
    &["std", "os"],
    &["std", "process"],
    &["std", "sync"],
    &["std", "thread"],
    &["core", "net"],
    &["core", "sync"],
    &["alloc", "sync"],
    &["Instant", "now"],
    &["SystemTime"],
];

/// One file of `src/`.
struct File<'a> {
    /// As it is shown.
    name: &'a str,
    /// Its module: empty for `lib.rs`.
    module: Vec<String>,
    code: String,
}

impl<'a> File<'a> {
    /// `name` is relative to the package, with `/`.
    fn new(name: &'a str, text: &str) -> Self {
        let inside = name.strip_prefix("src/").unwrap_or(name).trim_end_matches(".rs");
        let mut module: Vec<String> = inside.split('/').map(str::to_owned).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
            module.pop();
        }
        File { name, module, code: without_tests(&without_comments(text)) }
    }

    fn is_in(&self, place: &str) -> bool {
        place == "*" || place.split("::").enumerate().all(|(n, part)| self.module.get(n).is_some_and(|m| m == part))
    }

    /// Returns a path of this file from the root of the crate; `None` if it leads elsewhere.
    fn absolute(&self, path: &Path) -> Option<Vec<String>> {
        let up = path.segments.iter().take_while(|s| *s == "super").count();
        let (base, rest) = match path.segments[0].as_str() {
            "crate" => (0, 1),
            "self" => (self.module.len(), 1),
            "super" => (self.module.len().saturating_sub(up), up),
            _ => return None,
        };
        Some(self.module[..base].iter().chain(&path.segments[rest..]).cloned().collect())
    }
}

/// What the root of the crate re-exports: the item and the module it comes from.
fn root_items(lib: &str) -> BTreeMap<String, String> {
    let code = without_tests(&without_comments(lib));
    let reexports = paths(&code).into_iter().filter(|p| p.segments.len() > 1);
    reexports.filter_map(|p| Some((p.segments.last()?.clone(), p.segments.first()?.clone()))).collect()
}

/// Returns a line for each path of the file that is not allowed.
fn violations(file: &File<'_>, engines: &BTreeSet<String>, root: &BTreeMap<String, String>) -> Vec<String> {
    let found = paths(&file.code).into_iter().filter_map(|path| {
        let why =
            outside(file, &path).or_else(|| inside(file, &path, engines, root)).or_else(|| engine(file, &path))?;
        Some(format!("{}:{}: {}: {why}", file.name, path.line, path.segments.join("::")))
    });
    found.collect()
}

/// An outside crate outside of its place.
fn outside(file: &File<'_>, path: &Path) -> Option<String> {
    let (_, places) = OUTSIDE.iter().find(|(name, _)| path.segments[0] == *name)?;
    let named = path.segments.len() > 1 || path.imported;
    let allowed = places.iter().any(|place| file.is_in(place));
    (named && !allowed).then(|| format!("only {} may", places.join(", ")))
}

/// A module of this crate that is not below.
fn inside(file: &File<'_>, path: &Path, engines: &BTreeSet<String>, root: &BTreeMap<String, String>) -> Option<String> {
    let here = file.module.first()?;
    let absolute = file.absolute(path)?;
    let first = absolute.first()?;
    let to = if is_module(first) || OUTSIDE.iter().any(|(name, _)| name == first) { first } else { root.get(first)? };
    if to == here {
        let (engine, other) = (file.module.get(1)?, absolute.get(1)?);
        let crossed = here == "proto" && engines.contains(engine) && engines.contains(other) && engine != other;
        return crossed.then(|| "engines do not name each other".into());
    }
    if to == "http" {
        return None;
    }
    let allowed = below(here);
    (!allowed.contains(&to.as_str())).then(|| format!("{here} may name {}", allowed.join(", ")))
}

fn is_module(name: &str) -> bool {
    LEVEL_0.contains(&name) || TABLE.iter().chain(NARROW).any(|(module, _)| *module == name)
}

fn below(module: &str) -> Vec<&'static str> {
    let row = |table: &[(&str, &'static [&'static str])]| table.iter().find(|(m, _)| *m == module).map(|(_, row)| *row);
    match (row(NARROW), row(TABLE)) {
        (Some(all), _) => all.to_vec(),
        (None, Some(more)) => [LEVEL_0, more].concat(),
        (None, None) => Vec::new(),
    }
}

/// A clock, a socket or a thread in an engine.
fn engine(file: &File<'_>, path: &Path) -> Option<String> {
    if !file.is_in("proto") {
        return None;
    }
    let has = |banned: &&&[&str]| path.segments.windows(banned.len()).any(|w| w == **banned);
    NOT_IN_ENGINES.iter().find(has).map(|banned| format!("engines do not name {}", banned.join("::")))
}

/// Returns every file below `dir` with its text, those that are only compiled for tests left out.
fn read_tree(dir: &FilePath, name: &str, skip: &BTreeSet<String>, into: &mut Vec<(String, String)>) {
    let mut entries: Vec<_> = fs::read_dir(dir).expect("the sources are there").map(|e| e.expect("readable")).collect();
    entries.sort_by_key(|e| e.path());
    let mut skipped = skip.clone();
    for entry in entries.iter().filter(|e| e.path().extension().is_some_and(|e| e == "rs")) {
        let text = fs::read_to_string(entry.path()).expect("UTF-8");
        let file = format!("{name}/{}", entry.file_name().to_string_lossy());
        let own_dir = match file.rsplit_once('/') {
            Some((dir, "mod.rs" | "lib.rs")) => dir.to_owned(),
            _ => file.trim_end_matches(".rs").to_owned(),
        };
        skipped.extend(test_modules(&without_comments(&text)).iter().map(|module| format!("{own_dir}/{module}")));
        into.push((file, text));
    }
    for entry in entries.iter().filter(|e| e.path().is_dir()) {
        read_tree(&entry.path(), &format!("{name}/{}", entry.file_name().to_string_lossy()), &skipped, into);
    }
    into.retain(|(file, _)| {
        let file = file.trim_end_matches(".rs");
        !file.ends_with("/tests") && !skipped.iter().any(|s| file == s || file.starts_with(&format!("{s}/")))
    });
}

fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let root = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("src");
    read_tree(&root, "src", &BTreeSet::new(), &mut files);
    files
}

/// The directories and files of `src/proto/` that are an engine.
fn engines(files: &[(String, String)]) -> BTreeSet<String> {
    let below = files.iter().filter_map(|(name, _)| name.strip_prefix("src/proto/"));
    let names = below.map(|rest| rest.split('/').next().unwrap_or(rest).trim_end_matches(".rs").to_owned());
    names.filter(|name| name != "mod").collect()
}

#[test]
fn imports_point_down() {
    let files = sources();
    let (_, lib) = files.iter().find(|(name, _)| name == "src/lib.rs").expect("lib.rs");
    let (root, engines) = (root_items(lib), engines(&files));
    let mut wrong = Vec::new();
    let mut crossings = 0;
    for (name, text) in files.iter().filter(|(name, _)| name != "src/lib.rs") {
        let file = File::new(name, text);
        let from = file.module.first().expect("a module").as_str();
        if !is_module(from) {
            wrong.push(format!("{name}: the module `{from}` has no row in the table"));
        }
        crossings += paths(&file.code).iter().filter(|p| file.absolute(p).is_some()).count();
        wrong.extend(violations(&file, &engines, &root));
    }
    assert!(files.len() > 10 && crossings > 10 && root.len() > 5, "the sources were not read");
    assert!(wrong.is_empty(), "these lines point upward or aside:\n{}", wrong.join("\n"));
}

#[test]
fn every_dependency_has_its_place() {
    let manifest = include_str!("../Cargo.toml");
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[dependencies]" || line.ends_with(".dependencies]");
        } else if let (true, Some((name, _))) = (inside, line.split_once('=')) {
            names.push(name.trim().replace('-', "_"));
        }
    }
    assert!(names.iter().any(|n| n == "http"), "the dependencies were not read");
    for name in names {
        assert!(OUTSIDE.iter().any(|(known, _)| *known == name), "{name} has no row in OUTSIDE");
    }
}

#[test]
fn the_table_itself_points_down() {
    // Whoever is named by a module names nothing that leads back to it.
    fn reaches(from: &str, to: &str) -> bool {
        below(from).into_iter().any(|next| next == to || reaches(next, to))
    }
    for (module, _) in TABLE.iter().chain(NARROW) {
        assert!(!reaches(module, module), "{module} is above itself");
    }
    assert!(reaches("mcp", "proto") && !reaches("client", "server") && !reaches("net", "proto"));
}

#[test]
fn the_checker_sees_what_it_is_for() {
    #[rustfmt::skip]
    let table: &[(&str, &str, &[&str])] = &[
        // The path upward in each of its forms.
        ("src/net/dial.rs", "use crate::client::Client;", &["src/net/dial.rs:1: crate::client::Client: net may name b64, buf, error, time"]),
        ("src/net/dial.rs", "\n\nfn f() { crate::drive::go() }", &["src/net/dial.rs:3: crate::drive::go: net may name b64, buf, error, time"]),
        ("src/net/dial.rs", "use crate::{buf::RecvBuf,\n    proto::{h1, h2::Event}};",
            &["src/net/dial.rs:2: crate::proto::h1: net may name b64, buf, error, time",
              "src/net/dial.rs:2: crate::proto::h2::Event: net may name b64, buf, error, time"]),
        ("src/net/dial.rs", "use super::super::proto::Role;", &["src/net/dial.rs:1: super::super::proto::Role: net may name b64, buf, error, time"]),
        ("src/net/mod.rs", "use super::proto::Role;", &["src/net/mod.rs:1: super::proto::Role: net may name b64, buf, error, time"]),
        ("src/net/dial.rs", "type R = crate::Recv<u8>;", &["src/net/dial.rs:1: crate::Recv: net may name b64, buf, error, time"]),
        ("src/buf.rs", "use crate::error::Error;", &["src/buf.rs:1: crate::error::Error: buf may name "]),
        ("src/server/mod.rs", "impl From<crate::client::Client> for X {}",
            &["src/server/mod.rs:1: crate::client::Client: server may name b64, buf, error, fields, recv, time, drive, net, proto, ws"]),
        // What is allowed.
        ("src/net/dial.rs", "use crate::{buf::RecvBuf, error::Error, time::Deadline}; use super::tcp; use crate::Error;", &[]),
        ("src/net/dial/race.rs", "use super::super::tcp;", &[]),
        ("src/mcp/mod.rs", "use crate::{client::Client, sse::Event, http::Uri};", &[]),
        ("src/client/pool.rs", "use super::redirect; use self::x; use std::io; use std::sync::Arc;", &[]),
        // Comments, strings and tests say what they like.
        ("src/net/dial.rs", "// crate::client\n/* crate::client /* */ crate::client */ /// crate::client\n", &[]),
        ("src/net/dial.rs", r##"const A: &str = "crate::client"; const B: &[u8] = br#"" crate::client"#; const C: char = '"';"##, &[]),
        ("src/net/dial.rs", "#[cfg(test)]\nmod tests { use crate::client; fn f() { {} } }\n#[test]\nfn g() { crate::client::x() }", &[]),
        ("src/net/dial.rs", "#[cfg(all(test, unix))] use crate::client;", &[]),
        // But only they.
        ("src/net/dial.rs", "#[cfg(test)] mod t { fn f() {} }\nuse crate::client::X;", &["src/net/dial.rs:2: crate::client::X: net may name b64, buf, error, time"]),
        ("src/net/dial.rs", "#[cfg(not(test))] use crate::client::X;", &["src/net/dial.rs:1: crate::client::X: net may name b64, buf, error, time"]),
        ("src/net/dial.rs", "fn f<'a>(x: &'a str) { let q = '\\''; crate::client::x() }", &["src/net/dial.rs:1: crate::client::x: net may name b64, buf, error, time"]),
        // Engines.
        ("src/proto/h1/mod.rs", "use crate::proto::h2::Event;", &["src/proto/h1/mod.rs:1: crate::proto::h2::Event: engines do not name each other"]),
        ("src/proto/h1/parse.rs", "use super::super::h2;", &["src/proto/h1/parse.rs:1: super::super::h2: engines do not name each other"]),
        ("src/proto/h2/mod.rs", "use super::{Role, hpack}; use crate::proto::h2::frame; use super::super::proto::End;", &[]),
        ("src/proto/h1/mod.rs", "use std::{fmt, io, time::{Duration, SystemTime}};",
            &["src/proto/h1/mod.rs:1: std::io: engines do not name std::io",
              "src/proto/h1/mod.rs:1: std::time::SystemTime: engines do not name SystemTime"]),
        ("src/proto/h1/mod.rs", "fn f() { let n = std::time::Instant::now(); g(Instant::now()) }",
            &["src/proto/h1/mod.rs:1: std::time::Instant::now: engines do not name Instant::now",
              "src/proto/h1/mod.rs:1: Instant::now: engines do not name Instant::now"]),
        ("src/proto/h1/mod.rs", "use ::std::sync::Mutex; use std::thread;",
            &["src/proto/h1/mod.rs:1: std::sync::Mutex: engines do not name std::sync",
              "src/proto/h1/mod.rs:1: std::thread: engines do not name std::thread"]),
        ("src/proto/h1/mod.rs", "use crate::error::Error;", &["src/proto/h1/mod.rs:1: crate::error::Error: proto may name b64, buf, fields"]),
        // Outside crates.
        ("src/buf.rs", "use bytes::Bytes; fn f(bytes: &[u8]) { bytes.len() }", &["src/buf.rs:1: bytes::Bytes: only fields may"]),
        ("src/buf.rs", "use bytes;", &["src/buf.rs:1: bytes: only fields may"]),
        ("src/fields.rs", "use bytes::Bytes; use http::HeaderMap;", &[]),
        ("src/net/tls.rs", "use rustls::ClientConfig;", &[]),
        ("src/net/tls/verify.rs", "use rustls::ClientConfig;", &[]),
        ("src/net/tls_x.rs", "use rustls::ClientConfig;", &["src/net/tls_x.rs:1: rustls::ClientConfig: only net::tls may"]),
        ("src/proto/h1/mod.rs", "fn f() -> sha1_smol::Digest {}", &["src/proto/h1/mod.rs:1: sha1_smol::Digest: only proto::ws::handshake may"]),
    ];
    let engines = ["h1", "h2"].map(str::to_owned).into();
    let root = root_items("pub use http;\npub use error::{Error, Result};\npub use recv::Recv;");
    for (name, text, expected) in table {
        assert_eq!(violations(&File::new(name, text), &engines, &root), *expected, "{name}: {text}");
    }
}

#[test]
fn modules_that_are_only_compiled_for_tests() {
    let code = "#[cfg(test)]\nmod tests;\n#[cfg(test)]\npub(crate) mod script;\nmod real;\n#[cfg(unix)]\nmod unix;";
    assert_eq!(test_modules(code), ["tests", "script"]);
}
