//! The dynamic table: the fields that were sent lately, the oldest dropped first (RFC 7541, sections 2.3.2 and 4).
//!
//! Octets and entries are in two rings, so an insertion allocates nothing once they have grown. The octets of an entry
//! stand together: there is no wrapping, what is left of the live ones is moved to the front when the end is reached
//! and at least half of the octets are dead. So each octet that is inserted is moved once at most, on average, and the
//! buffer is at most twice as long as the table is large.

use super::ENTRY_OVERHEAD;
use std::fmt;

/// The largest table that can be kept, whatever was negotiated: positions in the ring stay far below 2^32.
pub(super) const LARGEST: usize = 1 << 30;

/// The maximum size with which both ends of a connection begin (RFC 9113, section 6.5.2).
pub(super) const DEFAULT_TABLE: usize = 4096;

/// How many entries, and octets of them, there is room for at first: what a request or two leave behind.
const FIRST_SLOTS: usize = 16;
const FIRST_OCTETS: usize = 512;

/// The dynamic table. `L` is what the owner keeps with every entry.
///
/// An entry is known by its id, the number of insertions before it (modulo 2^32).
///
/// # Invariants
///
/// `size <= max <= LARGEST`; `size` is the sum of the sizes of the `len` entries before id `inserted`; these are at
/// `id % slots.len()`, and their octets are consecutive and the last of `octets`.
pub(super) struct Table<L> {
    octets: Vec<u8>,
    /// The position of the first of `octets`; positions count every octet ever inserted, modulo 2^32.
    origin: u32,
    slots: Vec<Slot<L>>,
    inserted: u32,
    len: usize,
    size: usize,
    max: usize,
}

#[derive(Clone, Copy, Default)]
struct Slot<L> {
    position: u32,
    name: u32,
    value: u32,
    link: L,
}

/// An entry, lent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a, L> {
    pub name: &'a [u8],
    pub value: &'a [u8],
    pub link: L,
}

impl<L: Copy + Default> Table<L> {
    /// Returns an empty table, which allocates nothing yet.
    pub(super) fn new(max: usize) -> Self {
        let max = max.min(LARGEST);
        Table { octets: Vec::new(), origin: 0, slots: Vec::new(), inserted: 0, len: 0, size: 0, max }
    }

    /// Returns how many entries there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the maximum size (section 4.2).
    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Returns the id that the next entry will have.
    pub(super) fn next_id(&self) -> u32 {
        self.inserted
    }

    /// Returns the entry that was inserted before `newer` others.
    #[inline]
    pub(super) fn get(&self, newer: usize) -> Option<Entry<'_, L>> {
        (newer < self.len).then(|| self.entry(self.inserted.wrapping_sub(newer as u32 + 1)))
    }

    /// Returns the entry with an id, and how many are newer, unless it was dropped.
    #[inline]
    pub(super) fn by_id(&self, id: u32) -> Option<(usize, Entry<'_, L>)> {
        let newer = self.inserted.wrapping_sub(id).wrapping_sub(1) as usize;
        (newer < self.len).then(|| (newer, self.entry(id)))
    }

    /// Returns value and link of the entry with an id, and how many are newer, unless it was dropped.
    #[inline]
    pub(super) fn value_by_id(&self, id: u32) -> Option<(usize, &[u8], L)> {
        let newer = self.inserted.wrapping_sub(id).wrapping_sub(1) as usize;
        if newer >= self.len {
            return None;
        }
        let slot = &self.slots[self.slot(id)];
        let start = slot.position.wrapping_sub(self.origin) as usize + slot.name as usize;
        Some((newer, &self.octets[start..start + slot.value as usize], slot.link))
    }

    #[inline]
    fn entry(&self, id: u32) -> Entry<'_, L> {
        let slot = &self.slots[self.slot(id)];
        let start = slot.position.wrapping_sub(self.origin) as usize;
        let (name, rest) = self.octets[start..].split_at(slot.name as usize);
        Entry { name, value: &rest[..slot.value as usize], link: slot.link }
    }

    #[inline]
    fn slot(&self, id: u32) -> usize {
        // The number of slots is a power of two.
        id as usize & (self.slots.len().wrapping_sub(1))
    }

    /// Sets the maximum size, and drops what exceeds it (section 4.3).
    pub(super) fn resize(&mut self, max: usize) {
        self.max = max.min(LARGEST);
        self.evict(self.max);
        if self.max == 0 {
            (self.octets, self.slots) = (Vec::new(), Vec::new());
        }
    }

    /// Inserts an entry, and drops as many as it takes to make room (section 4.4).
    ///
    /// An entry that is larger than the table empties it and is not inserted, which is no error.
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8], link: L) {
        let size = name.len() + value.len() + ENTRY_OVERHEAD;
        if size > self.max {
            return self.evict(0);
        }
        self.evict(self.max - size);
        self.make_room(name.len() + value.len());
        let position = self.origin.wrapping_add(self.octets.len() as u32);
        self.octets.extend_from_slice(name);
        self.octets.extend_from_slice(value);
        let at = self.slot(self.inserted);
        self.slots[at] = Slot { position, name: name.len() as u32, value: value.len() as u32, link };
        self.inserted = self.inserted.wrapping_add(1);
        self.len += 1;
        self.size += size;
    }

    /// Drops the oldest entries until `size` is at most `limit`.
    #[inline]
    fn evict(&mut self, limit: usize) {
        while self.size > limit {
            let oldest = &self.slots[self.slot(self.inserted.wrapping_sub(self.len as u32))];
            self.size -= oldest.name as usize + oldest.value as usize + ENTRY_OVERHEAD;
            self.len -= 1;
        }
    }

    #[inline]
    fn make_room(&mut self, octets: usize) {
        if self.octets.capacity() - self.octets.len() < octets {
            self.make_room_for_octets(octets);
        }
        if self.len == self.slots.len() {
            self.make_room_for_entry();
        }
    }

    #[cold]
    fn make_room_for_octets(&mut self, needed: usize) {
        let live = self.size - self.len * ENTRY_OVERHEAD;
        let dead = self.octets.len() - live;
        if dead >= live {
            self.octets.copy_within(dead.., 0);
            self.octets.truncate(live);
            self.origin = self.origin.wrapping_add(dead as u32);
        }
        let len = self.octets.len();
        if self.octets.capacity() - len < needed {
            // `len` is less than twice the live octets, and those and the needed ones fit the table.
            let capacity = (self.octets.capacity() * 2).max(FIRST_OCTETS).min(self.max * 2).max(len + needed);
            self.octets.reserve_exact(capacity - len);
        }
    }

    #[cold]
    fn make_room_for_entry(&mut self) {
        let mut slots = vec![Slot::default(); (self.slots.len() * 2).max(FIRST_SLOTS)];
        for n in 1..=self.len as u32 {
            let id = self.inserted.wrapping_sub(n);
            let at = id as usize & (slots.len() - 1);
            slots[at] = self.slots[self.slot(id)];
        }
        self.slots = slots;
    }
}

impl<L> fmt::Debug for Table<L> {
    /// Writes sizes only: entries hold what must not be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Table { len, size, max, .. } = self;
        f.debug_struct("Table").field("len", len).field("size", size).field("max", max).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl<L> Table<L> {
    /// Returns the size (section 4.1).
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Returns how many bytes are allocated.
    pub(super) fn memory(&self) -> usize {
        self.octets.capacity() + self.slots.capacity() * size_of::<Slot<L>>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Random;
    use super::*;
    use std::collections::VecDeque;

    /// The table as the RFC describes it.
    #[derive(Default)]
    struct Model {
        entries: VecDeque<(Vec<u8>, Vec<u8>, u32)>,
        max: usize,
    }

    impl Model {
        fn evict(&mut self, limit: usize) {
            while self.size() > limit {
                self.entries.pop_back();
            }
        }

        fn size(&self) -> usize {
            self.entries.iter().map(|(name, value, _)| name.len() + value.len() + 32).sum()
        }

        fn insert(&mut self, name: &[u8], value: &[u8], link: u32) {
            let size = name.len() + value.len() + 32;
            self.evict(self.max.saturating_sub(size));
            if size <= self.max {
                self.entries.push_front((name.into(), value.into(), link));
            }
        }
    }

    /// Inserts entries of a few sizes, and returns how many octets were inserted and moved.
    fn fill(seed: u64, max: usize, sizes: &[usize], insertions: u32) -> (usize, usize) {
        let mut random = Random(seed);
        let mut table = Table::new(max);
        let mut model = Model { max: max.min(LARGEST), ..Model::default() };
        // Positions and ids that wrap soon.
        (table.origin, table.inserted) = (u32::MAX - 1000, u32::MAX - 50);
        let (mut inserted, mut moved) = (0, 0);
        for n in 0..insertions {
            let (name, value) = (sizes[random.below(sizes.len())], sizes[random.below(sizes.len())]);
            let (name, value) = (vec![n as u8; name], vec![!n as u8; value]);
            let (origin, id) = (table.origin, table.next_id());
            table.insert(&name, &value, n);
            model.insert(&name, &value, n);
            inserted += name.len() + value.len();
            if table.origin != origin {
                moved += table.octets.len() - name.len() - value.len();
            }
            assert_eq!((table.len(), table.size()), (model.entries.len(), model.size()), "seed {seed}, {n}");
            assert!(table.octets.capacity() <= 2 * max, "seed {seed}, {n}: {}", table.octets.capacity());
            for (newer, (name, value, link)) in model.entries.iter().enumerate() {
                let entry = table.get(newer).expect("as many as in the model");
                assert_eq!((entry.name, entry.value, entry.link), (&name[..], &value[..], *link));
                let (found, entry) = table.by_id(id.wrapping_sub(newer as u32)).expect("its id");
                assert_eq!((found, entry.link), (newer, *link));
            }
            assert!(table.get(table.len()).is_none());
            assert!(table.by_id(table.next_id()).is_none());
            assert!(table.by_id(table.next_id().wrapping_sub(table.len() as u32 + 1)).is_none());
        }
        (inserted, moved)
    }

    #[test]
    fn the_rings_hold_what_the_rfc_says() {
        for seed in 1..=10 {
            fill(seed, 400, &[0, 1, 5, 40, 180, 184, 185], 500);
            fill(seed, 4096, &[0, 10, 2000, 4000], 300);
        }
        fill(1, 0, &[0, 1], 5);
        fill(1, 31, &[0, 1], 5);
        fill(1, 32, &[0, 1], 50);
    }

    #[test]
    fn an_octet_is_moved_once_at_most() {
        for parts in 1..=60 {
            let size = (4096 / parts - 32) / 2;
            let (inserted, moved) = fill(1, 4096, &[size], 600);
            assert!(moved <= inserted, "{parts} entries: {moved} of {inserted} octets moved");
        }
    }

    #[test]
    fn a_size_of_zero_gives_the_memory_back() {
        let mut table = Table::new(4096);
        for n in 0..100 {
            table.insert(b"name", b"value", n);
        }
        table.resize(100);
        assert_eq!((table.len(), table.size()), (2, 82));
        assert_eq!(table.get(1).map(|entry| entry.link), Some(98));
        table.resize(0);
        assert_eq!((table.len(), table.size(), table.memory()), (0, 0, 0));
        table.insert(b"", b"", 0);
        assert_eq!(table.len(), 0);
        table.resize(4096);
        table.insert(b"name", b"value", 7);
        assert_eq!(table.get(0).map(|entry| (entry.name, entry.link)), Some((&b"name"[..], 7)));
        table.resize(usize::MAX);
        assert_eq!(table.max(), LARGEST);
    }
}
