//! Watches `console/dist`, which the binary embeds, so that a console built later is not missed.
//!
//! The folder is made if it is not there: cargo takes a watched path that is absent as always changed.

fn main() {
    let console = "console/dist";
    // A read-only checkout without a console is no reason to fail: the binary then says how to build one.
    if let Err(error) = std::fs::create_dir_all(console) {
        println!("cargo::warning=make {console}: {error}");
    }
    println!("cargo::rerun-if-changed={console}");
}
