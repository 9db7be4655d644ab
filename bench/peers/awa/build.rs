//! Tells the program which version of Awa the lock file names.
fn main() {
    println!("cargo:rerun-if-changed=Cargo.lock");
    let lock = std::fs::read_to_string("Cargo.lock").expect("Cargo.lock is beside Cargo.toml");
    let after = lock.split("name = \"awa\"\nversion = \"").nth(1).expect("Cargo.lock names awa");
    println!("cargo:rustc-env=AWA_VERSION={}", after.split('"').next().unwrap_or("?"));
}
