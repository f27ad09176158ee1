//! git's smart HTTP transport: redirects on discovery, then a POST that is written while the answer is read.
use super::world;
use bowline::{Body, BodyWriter, Client, Pending, Redirects, Response, Result};
use std::io::{self, Read, Write};

struct Transport {
    http: Client,
    base: String,
}

impl Transport {
    fn discover(&mut self, service: &str) -> Result<Vec<u8>> {
        let url = format!("{}/info/refs", self.base);
        let response = self
            .http
            .get(url)
            .query("service", service)
            .header("git-protocol", "version=2")
            .send()?
            .error_for_status()?;
        // Later requests go where the redirects led.
        if let Some((base, _)) = response.url().to_string().split_once("/info/refs") {
            self.base = base.to_owned();
        }
        response.bytes()
    }

    fn call(&self, service: &str) -> Result<Rpc> {
        let (body, answer) = self
            .http
            .post(format!("{}/{service}", self.base))
            .header("content-type", format!("application/x-{service}-request"))
            .redirects(Redirects::None)
            .duplex()?;
        Ok(Rpc { body: Some(body), answer: Some(answer), response: None })
    }
}

/// What libgit2 calls a subtransport stream: writes, then reads.
struct Rpc {
    body: Option<BodyWriter>,
    answer: Option<Pending>,
    response: Option<Body>,
}

impl Write for Rpc {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.body.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.body.as_mut().map_or(Ok(()), |b| b.flush())
    }
}
impl Read for Rpc {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(body) = self.body.take() {
            body.finish()?;
        }
        if let Some(answer) = self.answer.take() {
            self.response = Some(answer.wait()?.error_for_status().map(Response::into_body)?);
        }
        self.response.as_mut().ok_or(io::ErrorKind::UnexpectedEof)?.read(buf)
    }
}

#[test]
fn main() -> Result<()> {
    let mut git = Transport { http: world::client(), base: "https://git.test/repo.git".into() };
    assert_eq!(git.discover("git-upload-pack")?, b"001e# service=git-upload-pack\n0000");
    assert_eq!(git.base, "https://git.test/moved/repo.git");
    let mut rpc = git.call("git-upload-pack")?;
    rpc.write_all(b"0014command=ls-refs\n0000")?;
    let mut answer = Vec::new();
    io::copy(&mut rpc, &mut answer)?;
    assert_eq!(answer, b"refs: 24 bytes");
    Ok(())
}
