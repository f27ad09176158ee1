//! Uploads of files that need no protocol: one PUT, with a body that can be sent again.
use super::world;
use bowline::{Body, Result, http::Request};
use std::{fs::File, io::Write, time::Duration};

#[test]
fn main() -> Result<()> {
    let client = world::builder().user_agent("uploader/1").build()?;
    let small = std::env::temp_dir().join(format!("bowline-uploader-{}", std::process::id()));
    File::create(&small)?.write_all(b"something small")?;

    let url = "https://files.test/small";
    let done = client.put(url).body(File::open(&small)?).expect_continue(Duration::from_secs(1)).send()?;
    assert_eq!(done.error_for_status()?.text()?, "15 bytes from uploader/1");
    // The same by the `http` crate.
    let request = Request::put(url).body(Body::from_file(File::open(&small)?)?).map_err(bowline::Error::from)?;
    let done = client.prepare(request).timeout(Duration::from_secs(60)).send()?;
    assert_eq!(done.error_for_status()?.text()?, "15 bytes from uploader/1");

    std::fs::remove_file(small)?;
    Ok(())
}
