//! Checks a list of services and says which one is ill, where and why.
use super::world;
use bowline::{ErrorKind, Redirects};
use std::time::Duration;

#[test]
fn main() -> bowline::Result<()> {
    let client = world::builder().timeout(Duration::from_secs(2)).redirects(Redirects::None).build()?;
    let mut ill = Vec::new();
    // `std::env::args().skip(1)` in the program itself.
    let urls = [
        "https://ok.test/",
        "https://ok.test/ill",
        "https://ok.test/slow",
        "https://nobody.test/",
        "https://127.0.0.1:1/",
    ];
    for url in urls.map(String::from) {
        match client.get(&url).send() {
            Ok(response) if response.status().is_success() => {
                let t = response.timings();
                println!("ok    {url} {:?} connect {:?} first byte {:?}", response.version(), t.connect, t.first_byte);
            }
            Ok(response) => {
                ill.push("ill");
                println!("ill   {url} {} from {:?}", response.status(), response.connection().peer);
            }
            Err(e) if e.is_timeout() => {
                ill.push("slow");
                println!("slow  {url} in {:?} after {:?}", e.phase(), e.elapsed());
            }
            Err(e) => {
                let word = match e.kind() {
                    ErrorKind::Connect => "down",
                    ErrorKind::Tls => "cert",
                    _ => "ill",
                };
                ill.push(word);
                println!("{word:5} {url} {e}");
            }
        }
    }
    assert_eq!(ill, ["ill", "slow", "down", "down"]);
    Ok(())
}
