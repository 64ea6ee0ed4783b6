//! Any program of the user's, with declared inputs and outputs.

use crate::pipeline::{Context, Stage};
use spinloom_base::{Diagnostic, Fields, Node, Problems};
use std::path::{Path, PathBuf};
use std::process::Command;

/// `command: {run: [program, arguments…], inputs: [files], outputs: [files], needs: [stages]}`. `$name` in an argument is the main
/// output of that stage; the program runs in the stage's own folder.
pub struct UserCommand {
    words: Vec<String>,
    inputs: Vec<PathBuf>,
    outputs: Vec<PathBuf>,
    needs: Vec<String>,
}

impl UserCommand {
    /// Reads it.
    pub fn read(node: &Node, base: &Path, problems: &mut Problems) -> Option<Self> {
        let mut f = Fields::of(node, "a command", problems)?;
        let mut texts = |key, needed: bool, problems: &mut Problems| -> Option<Vec<String>> {
            let node = if needed { f.required(key, problems)? } else { f.optional(key)? };
            node.list(problems)?.iter().map(|n| n.text(problems).map(str::to_string)).collect()
        };
        let words = texts("run", true, problems);
        let outputs = texts("outputs", true, problems);
        let inputs = texts("inputs", false, problems).unwrap_or_default();
        let needs = texts("needs", false, problems).unwrap_or_default();
        f.finish(problems);
        let words = words?;
        if words.is_empty() {
            problems.push(node.error("a command needs a program").hint("write `run: [python3, plot.py]`"));
            return None;
        }
        // Absolute, because the program runs elsewhere.
        let base = std::path::absolute(base).unwrap_or_else(|_| base.to_path_buf());
        Some(Self {
            words,
            inputs: inputs.iter().map(|i| base.join(i)).collect(),
            outputs: outputs?.iter().map(PathBuf::from).collect(),
            needs,
        })
    }
}

impl Stage for UserCommand {
    fn kind(&self) -> &'static str {
        "command"
    }

    fn needs(&self) -> Vec<String> {
        self.needs.clone()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.inputs.clone()
    }

    fn settings(&self) -> String {
        format!("{:?}", self.words)
    }

    fn outputs(&self) -> Vec<PathBuf> {
        self.outputs.clone()
    }

    fn run(&self, context: &Context<'_>) -> Result<(), Problems> {
        let word = |w: &String| -> String {
            match w.strip_prefix('$').and_then(|name| context.output(name)) {
                Some(path) => std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).display().to_string(),
                None => self
                    .inputs
                    .iter()
                    .find(|i| i.file_name().is_some_and(|f| f == w.as_str()))
                    .map_or_else(|| w.clone(), |i| i.display().to_string()),
            }
        };
        let words: Vec<String> = self.words.iter().map(word).collect();
        let status = Command::new(&words[0]).args(&words[1..]).current_dir(&context.folder).status().map_err(|e| {
            Problems::from(Diagnostic::error(format!("`{}` cannot be started: {e}", words[0])).hint("is it installed and on the PATH?"))
        })?;
        if !status.success() {
            return Err(Diagnostic::error(format!("`{}` ended with {status}", words.join(" "))).into());
        }
        let mut problems = Problems::new();
        for o in self.outputs.iter().filter(|o| !context.folder.join(o).exists()) {
            problems.push(Diagnostic::error(format!("`{}` did not write `{}`, which it declares", words[0], o.display())));
        }
        problems.into_result(Some(()))
    }
}
