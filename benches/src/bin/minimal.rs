//! The smallest program that makes one https GET: how large is it?

fn main() -> bowline::Result<()> {
    let url = std::env::args().nth(1).unwrap_or_default();
    println!("{}", bowline::get(url).send()?.text()?);
    Ok(())
}
