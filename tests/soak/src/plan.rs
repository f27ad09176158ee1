//! What a request is and what its answer must be follows from its number, so that neither end has to remember anything.

use crate::Random;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub id: u64,
    pub method: &'static str,
    /// It says that sending it twice does what sending it once does, whatever its method.
    pub has_key: bool,
    /// The length of its body, if it has one.
    pub upload: Option<usize>,
    /// The body can be sent again.
    pub replayable: bool,
}

impl Plan {
    pub fn of(id: u64) -> Self {
        let mut random = Random(id.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let method = random.pick(&[(60, "GET"), (25, "POST"), (8, "PUT"), (4, "DELETE"), (3, "PATCH")]);
        let has_body = matches!(method, "POST" | "PUT" | "PATCH") && !random.once_in(4);
        let upload = has_body.then(|| length(&mut random));
        Plan { id, method, has_key: method == "POST" && random.once_in(5), upload, replayable: !random.once_in(5) }
    }

    pub fn is_idempotent(&self) -> bool {
        self.has_key || matches!(self.method, "GET" | "PUT" | "DELETE")
    }

    /// Whether there is nothing that could keep it from being sent again.
    pub fn can_be_resent(&self) -> bool {
        self.upload.is_none() || self.replayable
    }

    /// The body of the request.
    pub fn request_body(&self) -> Vec<u8> {
        filler(self.id ^ u64::MAX, self.upload.unwrap_or(0))
    }

    /// The body of the answer.
    pub fn answer(&self) -> Vec<u8> {
        filler(self.id, length(&mut Random(self.id)))
    }
}

/// Small mostly, large now and then, sometimes nothing.
fn length(random: &mut Random) -> usize {
    let most = random.pick(&[(4, 1), (80, 2_000), (15, 20_000), (1, 200_000)]);
    random.below(most) as usize
}

/// Bytes that no two requests have in common.
fn filler(seed: u64, len: usize) -> Vec<u8> {
    let pattern = [seed.to_be_bytes(), Random(seed).number().to_be_bytes()].concat();
    pattern.into_iter().cycle().take(len).collect()
}
