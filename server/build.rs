//! Native modules of Lua, which `allow-unsafe-lua` permits, find Lua's functions in the program that loads them.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        for names in ["lua_*", "luaL_*"] {
            println!("cargo::rustc-link-arg-bin=asd=-Wl,--export-dynamic-symbol={names}");
        }
    }
}
