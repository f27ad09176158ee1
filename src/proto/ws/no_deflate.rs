//! What stands for compression without the feature `deflate`: nothing that could exist.

use super::{extension::Direction, mask::Mask};
use crate::proto::End;

/// How much would be fed at once.
pub(super) const CHUNK: usize = 1;

/// That data cannot be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid;

/// Nothing.
#[derive(Debug)]
pub(super) enum Inflater {}

impl Inflater {
    pub(super) fn new(_: Direction) -> Option<Self> {
        None
    }

    pub(super) fn is_hungry(&self) -> bool {
        match *self {}
    }

    pub(super) fn feed(&mut self, _: &[u8], _: Option<&mut Mask>, _: End) {
        match *self {}
    }

    pub(super) fn run(&mut self, _: &mut [u8]) -> Result<usize, Invalid> {
        match *self {}
    }

    pub(super) fn end_message(&mut self) {
        match *self {}
    }
}

/// Nothing.
#[derive(Debug)]
pub(super) enum Deflater {}

impl Deflater {
    pub(super) fn new(_: Direction, _: usize) -> Option<Self> {
        None
    }

    pub(super) fn wants(&self, _: usize) -> bool {
        match *self {}
    }

    pub(super) fn pack(&mut self, _: &[u8]) -> Vec<u8> {
        match *self {}
    }

    pub(super) fn unpacked(&mut self, _: Vec<u8>) {
        match *self {}
    }
}
