//! What the soak and its peer agree on, and how a process looks at itself.
//!
//! | | |
//! |---|---|
//! | [`plan`] | what a request is, and what its answer must be: all of it follows from its number |
//! | [`fate`] | what the peer did with an attempt, and what a client may make of that |
//! | [`peer`] | the peer: answers, and misbehaves now and then |
//! | [`live`] | an allocator that counts |
//! | [`process`] | memory, descriptors and sockets of this process |

pub mod fate;
#[path = "../../support/frame.rs"]
mod frame;
pub mod live;
pub mod peer;
pub mod plan;
pub mod process;
#[path = "../../support/tls.rs"]
mod tls;

/// A generator of random numbers that says the same to everybody (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.number() % n
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of these, each as often as its weight says.
    pub fn pick<T: Copy>(&mut self, weighted: &[(u64, T)]) -> T {
        let mut at = self.below(weighted.iter().map(|(weight, _)| weight).sum());
        for (weight, value) in weighted {
            if at < *weight {
                return *value;
            }
            at -= weight;
        }
        unreachable!("the sum is that of the weights")
    }
}
