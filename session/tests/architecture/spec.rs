//! The wire's text and the tests that prove it: every rule of a `SPEC.md` is quoted by at least one test, and nothing quotes
//! a rule that is not there.
//!
//! * A part of the text lies in a folder of the repository (`arena/SPEC.md`) and has a letter. `## A4. Cells` begins a
//!   section, `* **A4.5** …` a rule; both count on from 1.
//! * `SPEC A4.5`, or `SPEC A4.5, S2.3` for several, quotes. A test in Rust quotes in its doc comment, one in TypeScript in
//!   its name, or in the comment above it. Anywhere else it is a reference: that counts for no rule, but must be right.
//! * Within a part's text, and between them, rules are named without the word.

use crate::{document::sources, workspace::root};
use std::{collections::BTreeMap, fs, path::PathBuf};

/// A rule's number, or a section's: `A4.5`, `A4`.
type Number = String;

/// What quotes a number, and whether it is a test.
#[derive(Debug, PartialEq, Eq)]
struct Quote {
    line: usize,
    number: Number,
    is_of_test: bool,
}

/// The texts of all parts, with their paths.
fn parts() -> Vec<(String, String)> {
    let folders = fs::read_dir(root()).expect("it is a folder").map(|entry| entry.expect("it can be read").file_name());
    let mut paths: Vec<PathBuf> = folders.map(|folder| PathBuf::from(folder).join("SPEC.md")).collect();
    paths.sort();
    let read = |path: PathBuf| Some((path.display().to_string(), fs::read_to_string(root().join(path)).ok()?));
    paths.into_iter().filter_map(read).collect()
}

/// What stands at the beginning of a line as a section's number (`## A4. …`) or a rule's (`* **A4.5** …`).
fn declared(line: &str) -> Option<&str> {
    let section = || line.strip_prefix("## ")?.split_once(". ").map(|(number, _)| number);
    let rule = || line.strip_prefix("* **")?.split_once("** ").map(|(number, _)| number);
    section().or_else(rule).filter(|word| number_at(word) == Some(*word))
}

/// The numbers that a part declares, in order, or what is wrong with them.
fn numbers(text: &str) -> Result<Vec<Number>, String> {
    let mut numbers: Vec<Number> = Vec::new();
    let (mut section, mut rule) = (0, 0);
    let letter = text.lines().find_map(declared).and_then(|number| number.get(..1)).unwrap_or("?").to_owned();
    for (line, number) in (1..).zip(text.lines()).filter_map(|(at, line)| Some((at, declared(line)?))) {
        let expected = if number.contains('.') {
            rule += 1;
            format!("{letter}{section}.{rule}")
        } else {
            (section, rule) = (section + 1, 0);
            format!("{letter}{section}")
        };
        if number != expected {
            return Err(format!("line {line}: {number} stands where {expected} would be right"));
        }
        numbers.push(expected);
    }
    Ok(numbers)
}

/// The number that a text begins with: a letter, digits, and for a rule a dot and digits.
fn number_at(text: &str) -> Option<&str> {
    let letter = text.chars().next().filter(char::is_ascii_uppercase)?;
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let section = digits(letter.len_utf8());
    let dot = 1 + section;
    let rule = if text[dot..].starts_with('.') { digits(dot + 1) } else { 0 };
    let end = if rule > 0 { dot + 1 + rule } else { dot };
    let is_word = !text[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    (section > 0 && is_word).then(|| &text[..end])
}

/// The numbers behind each `SPEC` of a line: `SPEC A4.5, S2.3 and S2`.
fn quoted(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, word) in line.match_indices("SPEC ") {
        let mut rest = &line[at + word.len()..];
        while let Some(number) = number_at(rest) {
            found.push(number);
            rest = &rest[number.len()..];
            let next = [", ", " and "].iter().find_map(|between| rest.strip_prefix(between));
            rest = next.unwrap_or_default();
        }
    }
    found
}

/// The numbers that a part's own text names: words that begin with the letter of a part.
fn named<'a>(line: &'a str, letters: &[char]) -> Vec<&'a str> {
    let is_start = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '`');
    let starts = line.match_indices(letters).filter(|(at, _)| is_start(*at));
    starts.filter_map(|(at, _)| number_at(&line[at..])).collect()
}

/// What a source quotes. What stands right before a function that is a test, or in the name of one, is the test's.
fn quotes(text: &str) -> Vec<Quote> {
    let mut found: Vec<Quote> = Vec::new();
    let (mut block, mut has_attribute) = (0, false);
    for (number, line) in (1..).zip(text.lines()) {
        let trimmed = line.trim_start();
        let is_before = trimmed.starts_with("///")
            || trimmed.starts_with("//")
            || trimmed.starts_with("/*")
            || trimmed.starts_with("* ")
            || trimmed.starts_with("#[");
        found.extend(quoted(line).into_iter().map(|word| Quote {
            line: number,
            number: word.to_owned(),
            is_of_test: !is_before && is_typescript_test(trimmed),
        }));
        if is_before {
            has_attribute |= is_test_attribute(trimmed);
            continue;
        }
        let is_function = trimmed.starts_with("fn ") || trimmed.starts_with("async fn ");
        if has_attribute && is_function || is_typescript_test(trimmed) {
            found[block..].iter_mut().for_each(|quote| quote.is_of_test = true);
        }
        (block, has_attribute) = (found.len(), false);
    }
    found
}

/// `#[test]`, `#[tokio::test(…)]`.
fn is_test_attribute(line: &str) -> bool {
    let path = line.strip_prefix("#[").and_then(|rest| rest.split(['(', ']']).next());
    path.and_then(|path| path.rsplit("::").next()) == Some("test")
}

fn is_typescript_test(line: &str) -> bool {
    ["it(", "test(", "it.each(", "test.each("].iter().any(|start| line.starts_with(start))
}

/// All quotes of the repository's sources, with the path of each.
fn all_quotes() -> Vec<(String, Quote)> {
    let is_source = |path: &PathBuf| path.extension().is_some_and(|end| end == "rs" || end == "ts" || end == "md");
    // This file speaks of examples; the log of changes, of the text as it was.
    let is_about_itself = |path: &PathBuf| path.ends_with("architecture/spec.rs") || path.ends_with("CHANGELOG.md");
    let mut all = Vec::new();
    for path in sources(PathBuf::new()).into_iter().filter(|path| is_source(path) && !is_about_itself(path)) {
        let text = fs::read_to_string(root().join(&path)).expect("sources are text");
        let shown = path.display().to_string();
        all.extend(quotes(&text).into_iter().map(|quote| (shown.clone(), quote)));
    }
    all
}

/// Every number that is declared, with the path of its part.
fn all_numbers() -> BTreeMap<Number, String> {
    let mut all = BTreeMap::new();
    for (path, text) in parts() {
        let numbers = numbers(&text).unwrap_or_else(|wrong| panic!("{path}, {wrong}"));
        for number in numbers {
            if let Some(other) = all.insert(number.clone(), path.clone()) {
                panic!("{number} is declared in {path} and in {other}");
            }
        }
    }
    all
}

#[test]
fn every_rule_of_the_wire_is_quoted_by_a_test() {
    let mut unquoted = all_numbers();
    unquoted.retain(|number, _| number.contains('.'));
    assert!(!unquoted.is_empty(), "there is a text");
    for (_, quote) in all_quotes().into_iter().filter(|(_, quote)| quote.is_of_test) {
        unquoted.remove(&quote.number);
    }
    let unquoted: Vec<String> = unquoted.into_iter().map(|(number, path)| format!("\n  {path}: {number}")).collect();
    assert!(unquoted.is_empty(), "rules that no test quotes:{}", unquoted.concat());
}

#[test]
fn nothing_quotes_a_rule_that_is_not_there() {
    let numbers = all_numbers();
    let of_sources = all_quotes().into_iter().map(|(path, quote)| (path, quote.line, quote.number));
    let letters: Vec<char> = numbers.keys().filter_map(|number| number.chars().next()).collect();
    let of_parts = parts().into_iter().flat_map(|(path, text)| {
        let lines = (1..).zip(text.lines());
        let named =
            lines.flat_map(|(at, line)| named(line, &letters).into_iter().map(move |word| (at, word.to_owned())));
        named.map(|(at, number)| (path.clone(), at, number)).collect::<Vec<_>>()
    });
    let wrong = of_sources.chain(of_parts).filter(|(.., number)| !numbers.contains_key(number));
    let wrong: Vec<String> = wrong.map(|(path, line, number)| format!("\n  {path}:{line}: {number}")).collect();
    assert!(wrong.is_empty(), "there is no such rule:{}", wrong.concat());
}

#[test]
fn numbers_count_on() {
    let text = "# A\n## A1. One\n* **A1.1** a\n* **A1.2** b (A1.1)\n  * **no** rule\n## A2. Two\n* **A2.1** c\n";
    assert_eq!(numbers(text), Ok(["A1", "A1.1", "A1.2", "A2", "A2.1"].map(str::to_owned).to_vec()));
    for (right, wrong) in [("A1.2", "A1.1"), ("A1.2", "A1.3"), ("A2.1", "A1.3"), ("## A2", "## A3"), ("A2.1", "B2.1")] {
        assert!(numbers(&text.replacen(right, wrong, 1)).is_err(), "{wrong} for {right}");
    }
}

#[test]
fn only_what_stands_at_a_test_proves_a_rule() {
    let of_test = |text: &str| {
        let numbers = quotes(text).into_iter().filter(|quote| quote.is_of_test).map(|quote| quote.number);
        numbers.collect::<Vec<_>>().join(" ")
    };
    for (text, expected) in [
        ("/// SPEC A1.2, S3.4 and S5.\n#[test]\nfn a() {\n// SPEC A9.9\n}\n", "A1.2 S3.4 S5"),
        ("    #[tokio::test(start_paused = true)]\n    /// SPEC A1.2.\n    async fn a() {}\n", "A1.2"),
        ("/// SPEC A1.2\nfn helper() {}\n#[test]\nfn a() {}\n", ""),
        ("//! SPEC A1.2\n\n#[test]\nfn a() {}\n", ""),
        ("it('does (SPEC S2.1)', () => {\n", "S2.1"),
        ("// SPEC S2.1\ntest('does', () => {\n", "S2.1"),
        ("const SPEC = 'SPEC S2.1'\ntest('does', () => {\n", ""),
        ("/// SPEC A1.2x, SPEC 1.2, SPECS A1.2\n#[test]\nfn a() {}\n", ""),
    ] {
        assert_eq!(of_test(text), expected, "{text}");
    }
}

#[test]
fn a_text_names_rules_without_the_word() {
    assert_eq!(named("as in A4.5 (S2), `S1` and LSA2.1, A2b.", &['A', 'S']), ["A4.5", "S2"]);
}
