use std::io::Write as _;

use super::*;
use crate::component::{Component, Scope};

/// One section at an address, with its content.
struct Section<'a>(&'a str, u64, &'a [u8]);

/// Makes an ELF program of 64 bits; each section is a segment too.
fn elf(sections: &[Section<'_>]) -> Vec<u8> {
    let mut names = vec![0_u8];
    let mut content = vec![0_u8; 64];
    let mut headers = vec![vec![0_u8; 64]];
    let mut segments = Vec::new();
    for Section(name, address, data) in sections {
        let at = content.len() as u64;
        headers.push(elf_section(
            names.len() as u32,
            1,
            *address,
            at,
            data.len() as u64,
        ));
        names.extend_from_slice(name.as_bytes());
        names.push(0);
        content.extend_from_slice(data);
        let mut segment = vec![1, 0, 0, 0, 4, 0, 0, 0];
        for number in [
            at,
            *address,
            *address,
            data.len() as u64,
            data.len() as u64,
            1,
        ] {
            segment.extend_from_slice(&number.to_le_bytes());
        }
        segments.push(segment);
    }
    let name_of_names = names.len() as u32;
    names.extend_from_slice(b".shstrtab\0");
    headers.push(elf_section(
        name_of_names,
        3,
        0,
        content.len() as u64,
        names.len() as u64,
    ));
    content.extend_from_slice(&names);
    let segments_at = content.len() as u64;
    segments.iter().for_each(|segment| content.extend(segment));
    let sections_at = content.len() as u64;
    headers.iter().for_each(|header| content.extend(header));
    let mut head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    for number in [0, segments_at, sections_at] {
        head.extend_from_slice(&u64::to_le_bytes(number));
    }
    head.extend_from_slice(&[0, 0, 0, 0, 64, 0, 56, 0, segments.len() as u8, 0, 64, 0]);
    head.extend_from_slice(&(headers.len() as u16).to_le_bytes());
    head.extend_from_slice(&(headers.len() as u16 - 1).to_le_bytes());
    content[..64].copy_from_slice(&head);
    content
}

fn elf_section(name: u32, kind: u32, address: u64, at: u64, size: u64) -> Vec<u8> {
    let mut header = [name.to_le_bytes(), kind.to_le_bytes()].concat();
    for number in [2, address, at, size, 0, 1, 0] {
        header.extend_from_slice(&number.to_le_bytes());
    }
    header
}

/// Makes a PE program of 64 bits with one section.
fn pe(name: &str, data: &[u8]) -> Vec<u8> {
    let mut file = vec![0_u8; 64];
    file[..2].copy_from_slice(b"MZ");
    file[60] = 64;
    file.extend_from_slice(b"PE\0\0\x64\x86\x01\0");
    file.extend_from_slice(&[0; 12]);
    file.extend_from_slice(&[240, 0, 0x22, 0]);
    let mut optional = vec![0_u8; 240];
    optional[..2].copy_from_slice(&[0x0b, 0x02]);
    optional[108] = 16;
    file.extend(optional);
    let mut section = [0_u8; 40];
    section[..name.len()].copy_from_slice(name.as_bytes());
    section[8..12].copy_from_slice(&(data.len() as u32).to_le_bytes());
    section[12..16].copy_from_slice(&0x1000_u32.to_le_bytes());
    section[16..20].copy_from_slice(&(data.len() as u32).to_le_bytes());
    section[20..24].copy_from_slice(&512_u32.to_le_bytes());
    section[36..40].copy_from_slice(&0xc000_0040_u32.to_le_bytes());
    file.extend(section);
    file.resize(512, 0);
    file.extend_from_slice(data);
    file
}

/// Makes a Mach-O program of 64 bits with one section.
fn macho(name: &str, data: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    for number in [0xfeed_facf_u32, 0x0100_0007, 3, 2, 1, 152, 0, 0, 0x19, 152] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    let named = |text: &str| {
        let mut name = [0_u8; 16];
        name[..text.len()].copy_from_slice(text.as_bytes());
        name
    };
    file.extend_from_slice(&named("__DATA"));
    for number in [0x1000, 0x1000, 184, data.len() as u64] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    for number in [7_u32, 3, 1, 0] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    file.extend_from_slice(&named(name));
    file.extend_from_slice(&named("__DATA"));
    for number in [0x1000, data.len() as u64] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    for number in [184_u32, 0, 0, 0, 0, 0, 0, 0] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    assert_eq!(file.len(), 184);
    file.extend_from_slice(data);
    file
}

fn lines(inventory: &Inventory) -> Vec<String> {
    let line = |c: &Component| {
        let version = c.version.as_deref().unwrap_or("?");
        let mut line = format!("{} {} {version}", c.ecosystem, c.name);
        match c.scope {
            Scope::Direct => line.push_str(" direct"),
            Scope::Development => line.push_str(" dev"),
            Scope::Transitive | Scope::Unstated => {}
        }
        if c.origin == crate::component::Origin::Repository {
            line.push_str(" repository");
        }
        line
    };
    let components = inventory.components.iter().map(line);
    let own = inventory.own.iter().map(|own| format!("own {own}"));
    let gaps = inventory
        .gaps
        .iter()
        .map(|gap| format!("gap {}", gap.reason));
    let mut lines: Vec<String> = components.chain(own).chain(gaps).collect();
    lines.sort();
    lines
}

/// Reads a program and compares what it says, in order.
fn check(program: &[u8], expected: &[&str]) {
    let read = read(program, "server").expect("a program that says something");
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(lines(&read), expected);
}

const MODULES: &str = "path\tgithub.com/acme/server\nmod\tgithub.com/acme/server\t(devel)\t\n\
    dep\tgithub.com/mark3labs/mcp-go\tv0.20.0\th1:a=\ndep\texample.com/old\tv1.0.0\th1:b=\n\
    =>\texample.com/fork\tv1.2.3\th1:c=\ndep\texample.com/here\tv0.0.0\n=>\t../here\t\n\
    build\t-compiler=gc\n";

const OF_GO: [&str; 6] = [
    "Go github.com/mark3labs/mcp-go v0.20.0",
    "Go example.com/fork v1.2.3",
    "Go stdlib 1.21.5",
    "own github.com/acme/server",
    "own ../here",
    "",
];

fn of_go() -> Vec<&'static str> {
    OF_GO
        .iter()
        .copied()
        .filter(|line| !line.is_empty())
        .collect()
}

fn framed(modules: &str) -> Vec<u8> {
    let marks = ([0x30; 16], [0x31; 16]);
    [&marks.0, modules.as_bytes(), &marks.1].concat()
}

/// What the linker writes since Go 1.18.
fn inline(release: &str, modules: &[u8]) -> Vec<u8> {
    let mut info = b"\xff Go buildinf:\x08\x02".to_vec();
    info.resize(32, 0);
    for text in [release.as_bytes(), modules] {
        let mut length = text.len();
        while length >= 0x80 {
            info.push(length as u8 | 0x80);
            length >>= 7;
        }
        info.push(length as u8);
        info.extend_from_slice(text);
    }
    info
}

#[test]
fn programs_of_go_say_their_modules() {
    let info = inline("go1.21.5", &framed(MODULES));
    check(&elf(&[Section(".go.buildinfo", 0x1000, &info)]), &of_go());
    check(&macho("__go_buildinfo", &info), &of_go());
    // In PE it stands somewhere at the start of the data.
    check(
        &pe(".data", &[&[0_u8; 64], info.as_slice()].concat()),
        &of_go(),
    );
}

#[test]
fn programs_of_go_before_1_18_point_to_what_they_say() {
    let text = 0x5000_u64;
    let modules = framed(MODULES);
    let mut texts = b"go1.21.5".to_vec();
    texts.extend_from_slice(&modules);
    for big in [false, true] {
        let number = |value: u64| match big {
            true => value.to_be_bytes(),
            false => value.to_le_bytes(),
        };
        let mut info = b"\xff Go buildinf:\x08".to_vec();
        info.push(u8::from(big));
        info.extend(number(0x3000));
        info.extend(number(0x3010));
        let strings = [text, 8, text + 8, modules.len() as u64]
            .map(number)
            .concat();
        let sections = [
            Section(".go.buildinfo", 0x1000, &info),
            Section(".data", 0x3000, &strings),
            Section(".rodata", text, &texts),
        ];
        check(&elf(&sections), &of_go());
    }
}

#[test]
fn published_programs_of_go_are_components_themselves() {
    let modules = "mod\tgithub.com/acme/tool\tv1.4.0\th1:x=\n";
    let info = inline("go1.24.1 X:boringcrypto", &framed(modules));
    check(
        &elf(&[Section(".go.buildinfo", 0, &info)]),
        &[
            "Go github.com/acme/tool v1.4.0 direct",
            "Go stdlib 1.24.1",
            "own github.com/acme/tool",
        ],
    );
    let unknown = inline("devel go1.25-abcdef", &framed(modules));
    let read = read(&elf(&[Section(".go.buildinfo", 0, &unknown)]), "x").expect("of Go");
    assert!(lines(&read).contains(&"Go stdlib ?".to_owned()));
}

#[test]
fn programs_of_go_that_say_nothing_are_told() {
    check(
        &elf(&[Section(".gopclntab", 0x1000, b"\xf1\xff\xff\xff")]),
        &["gap it is a program of Go that does not say what it was built of"],
    );
    let cut = &inline("go1.21.5", &framed(MODULES))[..60];
    check(
        &elf(&[Section(".go.buildinfo", 0x1000, cut)]),
        &["gap it cannot be read: what the program says of its modules is damaged"],
    );
    // Built without modules.
    let none = inline("go1.21.5", b"");
    check(
        &elf(&[Section(".go.buildinfo", 0x1000, &none)]),
        &[
            "Go stdlib 1.21.5",
            "gap it does not say which modules it was built of",
        ],
    );
}

fn packed(list: &str) -> Vec<u8> {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    zlib.write_all(list.as_bytes()).expect("in memory");
    zlib.finish().expect("in memory")
}

const LIST: &str = r#"{"packages":[
    {"name":"server","version":"0.1.0","source":"local","dependencies":[1,3],"root":true},
    {"name":"rmcp","version":"1.3.0","source":"crates.io","dependencies":[2]},
    {"name":"serde","version":"1.0.1","source":"crates.io"},
    {"name":"fork","version":"2.0.0","source":"git"},
    {"name":"cc","version":"1.1.0","source":"crates.io","kind":"build"}],"format":1}"#;

const OF_RUST: [&str; 5] = [
    "crates.io rmcp 1.3.0 direct",
    "crates.io serde 1.0.1",
    "crates.io fork 2.0.0 direct repository",
    "crates.io cc 1.1.0 dev",
    "own server 0.1.0",
];

#[test]
fn auditable_programs_of_rust_say_their_packages() {
    let list = packed(LIST);
    check(&elf(&[Section(".dep-v0", 0, &list)]), &OF_RUST);
    check(&pe(".dep-v0", &list), &OF_RUST);
    check(&macho(".dep-v0", &list), &OF_RUST);
    // Both platforms of a Mac in one file.
    let thin = macho(".dep-v0", &list);
    let mut fat = b"\xca\xfe\xba\xbe\0\0\0\x01\x01\0\0\x07\0\0\0\x03\0\0\x10\0".to_vec();
    fat.extend_from_slice(&(thin.len() as u32).to_be_bytes());
    fat.extend_from_slice(&[0, 0, 0, 12]);
    fat.resize(0x1000, 0);
    fat.extend(thin);
    check(&fat, &OF_RUST);
}

#[test]
fn lists_that_unpack_to_more_than_any_real_one_are_refused() {
    let bomb = packed(&format!(
        "{{\"packages\":[{}]}}",
        " ".repeat(9 * 1024 * 1024)
    ));
    check(
        &elf(&[Section(".dep-v0", 0, &bomb)]),
        &["gap it cannot be read: its list of packages has more than 8388608 bytes"],
    );
    let deep = packed(&"[".repeat(100_000));
    check(
        &elf(&[Section(".dep-v0", 0, &deep)]),
        &["gap it cannot be read: it nests deeper than 128 levels"],
    );
}

#[test]
fn other_files_say_nothing() {
    for bytes in [
        &b""[..],
        b"#!/bin/sh\n",
        b"\x7fELF",
        b"MZ and words",
        b"\xca\xfe\xba\xbe\0\0\0\x37class",
        &elf(&[Section(".text", 0x1000, b"\x90")]),
    ] {
        assert_eq!(read(bytes, "x"), None);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(128))]

    #[test]
    fn damaged_programs_never_panic(
        which in 0..4_usize,
        changes in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 0..=255_u8), 1..12),
        cut in proptest::prelude::any::<proptest::sample::Index>(),
    ) {
        let info = inline("go1.21.5", &framed(MODULES));
        let mut program = match which {
            0 => elf(&[Section(".go.buildinfo", 0x1000, &info), Section(".dep-v0", 0, b"x")]),
            1 => elf(&[Section(".dep-v0", 0, &packed(LIST))]),
            2 => pe(".data", &info),
            _ => macho("__go_buildinfo", &info),
        };
        for (at, byte) in &changes {
            let at = at.index(program.len());
            program[at] = *byte;
        }
        let _ = read(&program, "x");
        program.truncate(cut.index(program.len()));
        let _ = read(&program, "x");
    }
}
