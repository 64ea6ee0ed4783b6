//! Every command of the manual, in its order, in a folder of its chapter's files.

mod common;

use common::{said, spinloom};
use std::path::Path;

/// Blocks of a chapter: what stands behind the fence, and the text.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut list: Vec<(String, String)> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(info) if !open => {
                list.push((info.to_string(), String::new()));
                open = true;
            }
            Some(_) => open = false,
            None if open => {
                if let Some((_, body)) = list.last_mut() {
                    body.push_str(line);
                    body.push('\n');
                }
            }
            None => {}
        }
    }
    list
}

#[test]
fn every_command_of_the_manual_does_what_it_says() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src");
    let summary = std::fs::read_to_string(book.join("SUMMARY.md")).unwrap();
    let chapters: Vec<&str> = summary.split('(').skip(1).filter_map(|p| p.split(')').next()).collect();
    assert!(chapters.len() > 5);
    let mut count = 0;
    for chapter in &chapters {
        let text = std::fs::read_to_string(book.join(chapter)).unwrap_or_else(|e| panic!("{chapter}: {e}"));
        let blocks = blocks(&text);
        let dir = tempfile::tempdir().unwrap();
        for (info, body) in &blocks {
            if let Some(name) = info.split("file=").nth(1) {
                std::fs::write(dir.path().join(name), body).unwrap();
            }
        }
        for line in blocks.iter().filter(|(info, _)| info == "console").flat_map(|(_, body)| body.lines()) {
            let words: Vec<&str> = line.strip_prefix("$ spinloom ").unwrap_or_else(|| panic!("{chapter}: {line}")).split(' ').collect();
            let o = spinloom(dir.path(), &words);
            assert!(o.status.success(), "{chapter}: {line}: {}", said(&o));
            if words.contains(&"--json") {
                serde_json::from_slice::<serde_json::Value>(&o.stdout).unwrap_or_else(|e| panic!("{chapter}: {line}: {e}"));
            }
            count += 1;
        }
        // Pictures and chapters that are named are there.
        for link in text.split("](").skip(1).filter_map(|p| p.split(')').next()).filter(|l| !l.contains("://")) {
            assert!(book.join(link).exists(), "{chapter}: {link} is not there");
        }
    }
    println!("{count} commands in {} chapters", chapters.len());
    assert!(count > 30);
}

/// What stands in the text, and what needs a cluster or a browser, is not run: its verbs and options are there at least.
#[test]
fn every_command_that_is_only_named_exists() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src");
    let mut helps = std::collections::BTreeMap::new();
    let mut count = 0;
    for chapter in std::fs::read_dir(&book).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "md")) {
        let text = std::fs::read_to_string(&chapter).unwrap();
        for part in text.split("spinloom ").skip(1) {
            // To the end of the line, of the code or of what is quoted.
            let line = part.split(['\n', '`', '"', '&', '|', ')']).next().unwrap();
            let words: Vec<&str> = line.split_whitespace().collect();
            // `spinloom` in prose, and commands of others (`cargo … -p spinloom --features …`), begin with no verb.
            let Some(verb) = words.first().filter(|w| w.chars().all(|c| c.is_ascii_lowercase())) else { continue };
            if !part[line.len()..].starts_with(['\n', '`', '"', '&', '|']) {
                continue;
            }
            let help = helps.entry(verb.to_string()).or_insert_with(|| {
                let o = spinloom(Path::new("."), &[verb, "--help"]);
                assert!(o.status.success(), "{}: {line}: {}", chapter.display(), said(&o));
                said(&o)
            });
            for option in words.iter().filter_map(|w| w.strip_prefix("--")).map(|w| w.split('=').next().unwrap()).filter(|w| !w.is_empty())
            {
                assert!(help.contains(&format!("--{option}")), "{}: `{line}`: there is no --{option}", chapter.display());
            }
            count += 1;
        }
    }
    println!("{count} commands with verbs {:?}", helps.keys());
    assert!(count > 40);
}

/// The codes of the manual are those of the program's help.
#[test]
fn the_manual_lists_the_codes_that_help_lists() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/codes.md")).unwrap();
    let help = said(&spinloom(Path::new("."), &["--help"]));
    for code in ["0", "1", "2", "75", "130, 143"] {
        assert!(text.contains(&format!("| {code} |")), "{code}");
        assert!(help.lines().any(|l| l.trim_start().starts_with(&format!("{code} "))), "{code}: {help}");
    }
}
