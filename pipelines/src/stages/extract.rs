//! Fits model cards to records.

use crate::pipeline::{Context, Stage};
use spinloom_base::{Document, Node, Problems, Value};
use spinloom_extract::ExtractConfig;
use std::path::{Path, PathBuf};

/// `extract: FILE`, where `$name` stands for the record of the stage of that name.
pub struct Extract {
    file: PathBuf,
    document: Document,
    needs: Vec<String>,
    inputs: Vec<PathBuf>,
}

/// Every `$name` in a tree.
pub fn references(node: &Node, found: &mut Vec<String>) {
    match &node.value {
        Value::Text(t) => {
            if let Some(name) = t.strip_prefix('$')
                && !found.iter().any(|f| f == name)
            {
                found.push(name.to_string());
            }
        }
        Value::List(list) => list.iter().for_each(|n| references(n, found)),
        Value::Map(map) => map.iter().for_each(|(_, _, n)| references(n, found)),
        _ => {}
    }
}

/// The nodes that `$name` stands for.
pub fn paths(node: &Node, context: &Context<'_>, needs: &[String]) -> Vec<(String, Node)> {
    let text = |p: &Path| Value::Text(std::path::absolute(p).unwrap_or_else(|_| p.to_path_buf()).display().to_string());
    needs.iter().filter_map(|n| context.output(n).map(|p| (n.clone(), Node { place: node.place.clone(), value: text(p) }))).collect()
}

impl Extract {
    /// Reads and checks the configuration.
    pub fn read(node: &Node, base: &Path, problems: &mut Problems) -> Option<Self> {
        let file = base.join(node.text(problems)?);
        let document = problems.take(Document::read(&file))?;
        // The names are texts, so the check can see them before they mean anything.
        let config = ExtractConfig::parse(&document.root, problems)?;
        let mut needs = Vec::new();
        references(&document.root, &mut needs);
        let folder = file.parent().unwrap_or(Path::new(".")).to_path_buf();
        let inputs = config.inputs().into_iter().filter(|p| !p.to_string_lossy().starts_with('$')).map(|p| folder.join(p)).collect();
        Some(Self { file, document, needs, inputs })
    }
}

impl Stage for Extract {
    fn kind(&self) -> &'static str {
        "extract"
    }

    fn needs(&self) -> Vec<String> {
        self.needs.clone()
    }

    fn files(&self) -> Vec<PathBuf> {
        std::iter::once(self.file.clone()).chain(self.inputs.iter().cloned()).collect()
    }

    fn settings(&self) -> String {
        self.document.text.to_string()
    }

    fn outputs(&self) -> Vec<PathBuf> {
        vec!["card.yaml".into(), "extraction.json".into()]
    }

    fn run(&self, context: &Context<'_>) -> Result<(), Problems> {
        let mut problems = Problems::new();
        let tree = self.document.root.substitute(&paths(&self.document.root, context, &self.needs), &mut problems);
        let config = ExtractConfig::parse(&tree, &mut problems);
        let config = problems.into_result(config)?;
        let extraction = spinloom_extract::run(&config, self.file.parent().unwrap_or(Path::new(".")))?;
        crate::cards::write(&extraction, &context.folder)
    }
}
