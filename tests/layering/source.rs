//! Reading Rust well enough to find its paths.

/// A path as it is written, groups taken apart: `a::{b, c::d}` is `a::b` and `a::c::d`.
#[derive(Debug)]
pub struct Path {
    pub line: usize,
    pub segments: Vec<String>,
    /// Whether it stands right behind `use`.
    pub imported: bool,
}

/// Returns the text with comments, strings and characters blanked out; lines stay where they are.
pub fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut behind_word = false;
    while let Some(first) = rest.chars().next() {
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(len) = string(rest).filter(|_| !behind_word || first == '"') {
            len
        } else if first == '\'' {
            character(rest)
        } else {
            0
        };
        if len == 0 {
            out.push(first);
            behind_word = first.is_alphanumeric() || first == '_';
            rest = &rest[first.len_utf8()..];
        } else {
            out.extend(rest[..len].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            behind_word = false;
            rest = &rest[len..];
        }
    }
    out
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let step = match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (1, 2),
            [b'*', b'/', ..] => (-1, 2),
            _ => (0, 1),
        };
        depth += step.0;
        at += step.1;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Returns the length of the string literal that the text begins with: plain or raw, of any kind.
fn string(text: &str) -> Option<usize> {
    let body = text.trim_start_matches(['b', 'c']);
    if text.len() - body.len() > 1 {
        return None;
    }
    let prefix = text.len() - body.len();
    if let Some(raw) = body.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let inside = raw[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let len = inside.find(&end).map_or(inside.len(), |at| at + end.len());
        return Some(prefix + 1 + hashes + 1 + len);
    }
    let inside = body.strip_prefix('"')?;
    let mut escaped = false;
    let end = inside.find(|c| {
        let end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        end
    });
    Some(prefix + 1 + end.map_or(inside.len(), |at| at + 1))
}

/// Returns the length of the character literal that the text begins with; zero for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            // What is escaped may be a quote; the end comes after it.
            chars.next();
            chars.find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1)
        }
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

/// The attributes of what is compiled for tests only, without white space.
fn is_test_attribute(attribute: &str) -> bool {
    let attribute: String = attribute.split_whitespace().collect();
    attribute == "#[test]" || attribute == "#[cfg(test)]" || attribute.starts_with("#[cfg(all(test,")
}

/// Returns where each test item begins (its attribute), where its code begins, and where it ends.
fn test_items(code: &str) -> Vec<(usize, usize, usize)> {
    let mut items = Vec::new();
    let mut at = 0;
    while let Some(start) = code[at..].find("#[").map(|n| at + n) {
        let Some(end) = code[start..].find(']').map(|n| start + n + 1) else { break };
        at = end;
        if is_test_attribute(&code[start..end]) {
            let item = end + item_length(&code[end..]);
            items.push((start, end, item));
            at = item;
        }
    }
    items
}

/// Returns how long an item is: up to a semicolon, or to the end of its braces.
fn item_length(code: &str) -> usize {
    let mut depth = 0i32;
    // `use a::{b};` ends with its semicolon, not with its braces.
    let is_use = code.split_whitespace().find(|w| !w.starts_with("pub")).is_some_and(|w| w == "use");
    for (at, c) in code.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth -= 1;
                if depth == 0 && c == '}' && !is_use {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Returns the code with the items blanked out that are compiled for tests only.
pub fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut at = 0;
    for (start, _, end) in test_items(code) {
        out.push_str(&code[at..start]);
        out.extend(code[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    out.push_str(&code[at..]);
    out
}

/// Returns the names of the modules in files of their own that are compiled for tests only.
pub fn test_modules(code: &str) -> Vec<String> {
    let items = test_items(code).into_iter().map(|(_, start, end)| &code[start..end]);
    let names = items.filter_map(|item| {
        let name = item.trim().strip_suffix(';')?;
        let (visibility, name) = name.rsplit_once("mod ")?;
        (visibility.is_empty() || visibility.starts_with("pub")).then(|| name.trim().to_owned())
    });
    names.collect()
}

#[derive(Debug)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

impl Token<'_> {
    fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (code, 1);
    while let Some(first) = rest.chars().next() {
        let len = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        line += usize::from(first == '\n');
        if !first.is_whitespace() {
            tokens.push(Token { text: &rest[..len], line });
        }
        rest = &rest[len..];
    }
    tokens
}

/// Words that may stand right before `::std` without being part of the path.
const KEYWORDS: &[&str] = &["as", "dyn", "else", "for", "if", "impl", "in", "match", "mut", "return", "use", "where"];

/// Returns every path of the code.
pub fn paths(code: &str) -> Vec<Path> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if KEYWORDS.contains(&tokens[at].text) {
            at += 1;
        } else if tokens[at].is_word() {
            let imported = at > 0 && tokens[at - 1].text == "use";
            at = path(&tokens, at, &[], imported, &mut found);
        } else if tokens[at].text == "." && tokens.get(at + 1).is_some_and(Token::is_word) {
            // A field or method.
            at += 2;
        } else {
            at += 1;
        }
    }
    found
}

/// Takes the path that begins at a word; returns where the code goes on.
fn path(tokens: &[Token<'_>], mut at: usize, prefix: &[String], imported: bool, found: &mut Vec<Path>) -> usize {
    let line = tokens[at].line;
    let mut segments = prefix.to_vec();
    segments.push(tokens[at].text.to_owned());
    at += 1;
    while tokens.get(at).is_some_and(|t| t.text == "::") {
        match tokens.get(at + 1) {
            Some(t) if t.is_word() || t.text == "*" => {
                segments.push(t.text.to_owned());
                at += 2;
            }
            Some(t) if t.text == "{" => return group(tokens, at + 2, &segments, found),
            _ => break,
        }
    }
    found.push(Path { line, segments, imported });
    at
}

/// Takes a group behind its brace.
fn group(tokens: &[Token<'_>], mut at: usize, prefix: &[String], found: &mut Vec<Path>) -> usize {
    while let Some(token) = tokens.get(at) {
        at = match token.text {
            "}" => return at + 1,
            "as" => at + 2,
            _ if token.is_word() => path(tokens, at, prefix, false, found),
            _ => at + 1,
        };
    }
    at
}
