//! Fetches 500 packages over one HTTP/2 connection, from one thread, with progress.
use super::world;
use bowline::{Batch, Client, Protocol, Result};
use std::fs::File;

struct Package {
    name: String,
    url: String,
}

fn fetch(client: &Client, packages: &[Package]) -> Result<()> {
    let mut batch = Batch::new();
    for package in packages {
        batch.push(client.get(&package.url).start(), package);
    }
    let (mut done, mut bytes, mut failed) = (0, 0, Vec::new());
    for (package, answer) in batch {
        let saved =
            answer.and_then(|r| r.error_for_status()).and_then(|r| r.copy_to(&mut File::create(&package.name)?));
        match saved {
            Ok(n) => bytes += n,
            Err(e) => failed.push((&package.name, e)),
        }
        done += 1;
        eprint!("\r{done}/{} {} KiB", packages.len(), bytes / 1024);
    }
    for (name, error) in &failed {
        eprintln!("{name}: {error}");
    }
    assert_eq!((done, bytes, failed.len()), (500, 500 * world::PACKAGE + 499 * 500 / 2, 0));
    Ok(())
}

#[test]
fn main() -> Result<()> {
    let client = world::builder().protocol(Protocol::Http2).build()?;
    let directory = std::env::temp_dir().join(format!("bowline-packages-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let packages: Vec<_> = (0..500)
        .map(|i| Package {
            name: directory.join(format!("p{i}.tar")).to_string_lossy().into_owned(),
            url: format!("https://pkg.test/p{i}.tar"),
        })
        .collect();
    fetch(&client, &packages)?;
    for c in client.connections() {
        eprintln!("#{} {} served {} requests, rtt {:?}", c.id, c.origin, c.requests, c.rtt);
    }
    assert_eq!(client.connections().iter().map(|c| c.requests).collect::<Vec<_>>(), [500]);
    std::fs::remove_dir_all(directory)?;
    Ok(())
}
