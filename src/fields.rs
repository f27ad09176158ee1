//! Decoded header fields: one buffer and places in it. The only file that names the crate `bytes`.

pub(crate) mod trailers;
pub(crate) mod words;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{fmt, ops::Range};

/// One field: where it stands in the buffer.
#[derive(Clone, Copy, Debug)]
struct Place {
    name: u32,
    name_end: u32,
    value: u32,
    end: u32,
    sensitive: bool,
}

/// Where the fields of a section stand that is being understood.
#[derive(Debug)]
pub(crate) struct Marks(Vec<Place>);

impl Marks {
    /// Returns none, with room for so many.
    pub(crate) fn with_capacity(fields: usize) -> Self {
        Marks(Vec::with_capacity(fields))
    }

    /// Adds a field by the places of its name and its value, which stands behind. What holds for them is what [`Fields::push`] says.
    ///
    /// # Panics
    ///
    /// As [`Fields::push`].
    #[inline]
    pub(crate) fn add(&mut self, name: Range<usize>, value: Range<usize>) {
        let end = u32::try_from(value.end).expect("header lists are limited far below 4 GiB");
        // What is below the end fits as well.
        let (start, name_end, value) = (name.start as u32, name.end as u32, value.start as u32);
        self.0.push(Place { name: start, name_end, value, end, sensitive: false });
    }

    /// Makes a list of them; `section` is where they stand.
    pub(crate) fn over(self, section: &[u8]) -> Fields {
        Fields { bytes: section.to_vec(), places: self.0 }
    }
}

/// The fields of a head or of trailers, in the order they arrived, in one buffer.
///
/// An engine fills it while it decodes; a [`HeaderMap`] is made once, on demand and outside every lock, and its values
/// share the buffer. Names keep the case in which they arrived (HTTP/2 allows only lower case).
#[derive(Clone, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

impl Fields {
    /// Returns an empty list, which allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns an empty list with room for `fields` fields of `bytes` bytes together.
    pub fn with_capacity(fields: usize, bytes: usize) -> Self {
        Fields { bytes: Vec::with_capacity(bytes), places: Vec::with_capacity(fields) }
    }

    /// Adds a field. The caller has checked that the name is a token and the value holds no CR, LF or NUL.
    ///
    /// # Panics
    ///
    /// Panics if all fields together exceed 4 GiB: header lists are limited far below.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.add(name, value, false);
    }

    /// Adds a field that must not be logged or indexed (RFC 7541, section 7.1.3).
    ///
    /// # Panics
    ///
    /// As [`push`](Self::push).
    pub fn push_sensitive(&mut self, name: &[u8], value: &[u8]) {
        self.add(name, value, true);
    }

    #[inline]
    fn add(&mut self, name: &[u8], value: &[u8], sensitive: bool) {
        let start = self.bytes.len();
        let end = start + name.len() + value.len();
        // The only check: what is below the end fits as well.
        let end = u32::try_from(end).expect("header lists are limited far below 4 GiB");
        self.bytes.reserve(name.len() + value.len());
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        let value = (start + name.len()) as u32;
        self.places.push(Place { name: start as u32, name_end: value, value, end, sensitive });
    }

    /// Returns how many fields there are.
    #[cfg(any(test, feature = "unstable-proto"))]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns names and values in the order they arrived.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places.iter().map(|p| self.at(*p))
    }

    fn name(&self, p: Place) -> &[u8] {
        &self.bytes[p.name as usize..p.name_end as usize]
    }

    fn at(&self, p: Place) -> (&[u8], &[u8]) {
        (self.name(p), &self.bytes[p.value as usize..p.end as usize])
    }

    /// Returns the first value of a name, ignoring case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// Returns every value of a name, ignoring case.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        // Most names differ in length already, and are not looked at.
        let is_it = move |p: &&Place| {
            (p.name_end - p.name) as usize == name.len() && self.name(**p).eq_ignore_ascii_case(name.as_bytes())
        };
        self.places.iter().filter(is_it).map(|p| self.at(*p).1)
    }

    /// Returns the first value of a name, ignoring case, if it is visible ASCII, spaces and tabs.
    pub fn get_text(&self, name: &str) -> Option<&str> {
        let value = self.get(name)?;
        let visible = value.iter().all(|b| matches!(b, b' '..=b'~' | b'\t'));
        if visible { std::str::from_utf8(value).ok() } else { None }
    }

    /// Takes every field of a name out, ignoring case.
    pub fn remove(&mut self, name: &str) {
        let Fields { bytes, places } = self;
        places.retain(|p| !bytes[p.name as usize..p.name_end as usize].eq_ignore_ascii_case(name.as_bytes()));
    }

    /// Makes a map whose values share the buffer.
    ///
    /// A field that `http` does not accept is left out; engines check names and values by rules at least as strict, so
    /// this happens to nothing they made. More than 32,768 fields do not fit a map; engines limit the count far below.
    pub fn into_map(self) -> HeaderMap {
        let bytes = Bytes::from(self.bytes);
        let mut map = HeaderMap::with_capacity(self.places.len().min(1024));
        for p in self.places {
            let name = HeaderName::from_bytes(&bytes[p.name as usize..p.name_end as usize]);
            let value = HeaderValue::from_maybe_shared(bytes.slice(p.value as usize..p.end as usize));
            if let (Ok(name), Ok(mut value)) = (name, value) {
                value.set_sensitive(p.sensitive);
                // Fails only beyond 32,768 names, see above.
                let _ = map.try_append(name, value);
            }
        }
        map
    }
}

/// As they are told apart: what else is in the buffer, and where, does not show; nor does what is sensitive.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = |p: &Place| {
            let text = |from: u32, to: u32| self.bytes[from as usize..to as usize].escape_ascii().to_string();
            let value = if p.sensitive { "Sensitive".to_owned() } else { text(p.value, p.end) };
            (text(p.name, p.name_end), value)
        };
        f.debug_list().entries(self.places.iter().map(field)).finish()
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}
impl Eq for Fields {}

impl<'a> FromIterator<(&'a str, &'a str)> for Fields {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let mut fields = Fields::new();
        pairs.into_iter().for_each(|(name, value)| fields.push(name.as_bytes(), value.as_bytes()));
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_marked_where_they_stand() {
        let section = b"A: b\r\nignored: x\r\nempty:\r\n";
        let mut marks = Marks::with_capacity(0);
        marks.add(0..1, 3..4);
        marks.add(18..23, 24..24);
        let mut fields = marks.over(section);
        assert_eq!(fields, [("A", "b"), ("empty", "")].into_iter().collect());
        fields.push(b"a", b"c");
        assert_eq!(fields.get_all("a").collect::<Vec<_>>(), [b"b", b"c"]);
        // What was ignored is no part of them, whatever looks at them.
        assert_eq!(format!("{fields:?}"), r#"[("A", "b"), ("empty", ""), ("a", "c")]"#);
        assert_eq!((fields.clone().into_map()["empty"].len(), fields.into_map().get_all("a").iter().count()), (0, 2));
    }

    #[test]
    fn a_map_has_every_field_in_order() {
        let mut fields: Fields = [("Accept", "a"), ("x-empty", ""), ("accept", "b")].into_iter().collect();
        fields.push_sensitive(b"authorization", b"secret");
        assert_eq!(fields.get("ACCEPT"), Some(&b"a"[..]));
        assert_eq!(fields.get_all("accept").count(), 2);
        let text: Fields = [("a", "b\tc d"), ("A", "e"), ("b", "\u{e9}"), ("c", "")].into_iter().collect();
        assert_eq!((text.get_text("A"), text.get_text("b")), (Some("b\tc d"), None));
        assert_eq!((text.get_text("c"), text.get_text("d")), (Some(""), None));
        let mut text = text;
        text.remove("A");
        assert_eq!(text.iter().map(|(n, _)| n).collect::<Vec<_>>(), [b"b", b"c"]);
        let map = fields.into_map();
        assert_eq!(map.get_all("accept").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(map["x-empty"], "");
        assert!(map["authorization"].is_sensitive() && !map["accept"].is_sensitive());
    }
}
