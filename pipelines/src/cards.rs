//! The verbs around model cards: `extract`, and `card show`, `check`, `diff`, `export`.

use clap::Subcommand;
use spinloom_base::{Diagnostic, Document, Problems};
use spinloom_card::Card;
use spinloom_extract::export::{FORMATS, export};
use spinloom_extract::{ExtractConfig, Extraction, MODELS};
use std::path::{Path, PathBuf};

/// What is done with cards.
#[derive(Subcommand)]
pub enum CardVerb {
    /// Checks a card and prints it.
    Show {
        /// The YAML file.
        path: PathBuf,
    },
    /// Checks cards: format, units, intervals, model, and the records behind them where those are there.
    Check {
        /// The YAML files.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Shows in what two cards differ; exit code 1 if the intervals of a parameter do not even touch.
    Diff {
        /// One.
        a: PathBuf,
        /// The other.
        b: PathBuf,
    },
    /// Writes a card for other programs; `list` as the format lists them.
    Export {
        /// The YAML file.
        path: PathBuf,
        /// The format.
        #[arg(long)]
        format: String,
        /// Folder for the files; by default that of the card.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

impl CardVerb {
    /// Does it.
    pub fn run(self) -> Result<u8, Problems> {
        match self {
            CardVerb::Show { path } => {
                crate::out::say!("{}", Card::read(&path)?.to_yaml().trim_end());
                Ok(0)
            }
            CardVerb::Check { paths } => {
                let mut problems = Problems::new();
                for path in &paths {
                    let checked = Card::read(path).and_then(|card| spinloom_extract::check(&card, path).map(|notes| (card, notes)));
                    if let Some((card, notes)) = problems.take(checked) {
                        notes.iter().for_each(|n| crate::out::say!("{}: {n}", path.display()));
                        crate::out::say!(
                            "{}: `{}`, model {}, {} parameters, nothing wrong with it",
                            path.display(),
                            card.name,
                            card.model.name,
                            card.parameters.len()
                        );
                    }
                }
                problems.into_result(Some(0))
            }
            CardVerb::Diff { a, b } => {
                let differences = Card::read(&a)?.diff(&Card::read(&b)?);
                for d in &differences {
                    let words = match d.apart {
                        Some(true) => ": the intervals do not touch",
                        Some(false) => ": within the intervals",
                        None => "",
                    };
                    crate::out::say!("{}{words}\n  - {}\n  + {}", d.what, d.values[0], d.values[1]);
                }
                if differences.is_empty() {
                    crate::out::say!("no difference");
                }
                Ok(if differences.iter().any(|d| d.apart == Some(true)) { 1 } else { 0 })
            }
            CardVerb::Export { path, format, out } => {
                if format == "list" {
                    FORMATS.iter().for_each(|f| crate::out::say!("{:<10} {}", f.name, f.about));
                    return Ok(0);
                }
                let card = Card::read(&path)?;
                let out = out.unwrap_or_else(|| path.parent().unwrap_or(Path::new(".")).to_path_buf());
                for file in export(&card, &format, &out)? {
                    crate::out::say!("{}", file.display());
                }
                Ok(0)
            }
        }
    }
}

/// Runs an extraction on its own.
pub fn extract(file: &Path, out: &Path) -> Result<u8, Problems> {
    let document = Document::read(file)?;
    let mut problems = Problems::new();
    let config = ExtractConfig::parse(&document.root, &mut problems);
    let config = problems.into_result(config)?;
    let extraction = spinloom_extract::run(&config, file.parent().unwrap_or(Path::new(".")))?;
    std::fs::create_dir_all(out)
        .map_err(|e| Problems::from(Diagnostic::file(out.display().to_string(), format!("cannot be made: {e}"))))?;
    write(&extraction, out)?;
    Ok(0)
}

/// Writes cards (the first of the first device as `card.yaml`), figures and everything else of an extraction.
pub fn write(extraction: &Extraction, folder: &Path) -> Result<(), Problems> {
    let cannot = |e: &dyn std::fmt::Display| Problems::from(Diagnostic::file(folder.display().to_string(), e.to_string()));
    let plain = |name: &str| name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect::<String>();
    let Some(first) = extraction.cards.first() else {
        return Err(Diagnostic::error("neither a neuron nor a device was asked for, so there is no card")
            .hint("add `neuron` or `devices` to the extraction")
            .into());
    };
    for (i, card) in extraction.cards.iter().enumerate() {
        let name = match (i, card.name == first.name) {
            (0, _) => "card.yaml".to_string(),
            (_, true) => format!("card-{}.yaml", card.model.name),
            (_, false) => format!("card-{}-{}.yaml", plain(&card.name), card.model.name),
        };
        card.write(&folder.join(name)).map_err(|e| cannot(&e))?;
        // The chosen model of each device comes first.
        if i == 0 || extraction.cards[i - 1].name != card.name {
            let share = |x: f64| {
                if x.is_finite() { format!("misfit {:.2} % on held-out data", 100.0 * x) } else { "no misfit on held-out data".into() }
            };
            let by_pulse =
                card.fit.per_pulse.as_ref().map_or(String::new(), |p| format!(", {:.2} % pulse by pulse", 100.0 * p.nrmse_held_out));
            eprintln!("card `{}`: {}, {}{by_pulse}", card.name, card.model.name, share(card.fit.nrmse_held_out));
            card.undetermined.iter().for_each(|u| eprintln!("  not determined: {u}"));
        }
    }
    let figures = folder.join("figures");
    std::fs::create_dir_all(&figures).map_err(|e| cannot(&e))?;
    for plot in &extraction.plots {
        crate::pipeline::write_whole(&figures.join(format!("{}.svg", plain(&plot.name))), crate::report::svg(plot).as_bytes())?;
    }
    let json = serde_json::to_vec_pretty(extraction).map_err(|e| cannot(&e))?;
    crate::pipeline::write_whole(&folder.join("extraction.json"), &json)
}

/// Lists the models, or tells all about one.
pub fn models(name: Option<&str>) -> Result<u8, Problems> {
    let Some(name) = name else {
        for m in MODELS {
            let a = m.about();
            crate::out::say!("{:<24} {}", a.name, a.equation);
        }
        return Ok(0);
    };
    let Some(model) = spinloom_extract::find(name) else {
        let near = spinloom_base::diagnostics::nearest(name, MODELS.iter().map(|m| m.about().name));
        let hint = near.map_or("`spinloom extract --models` lists them".to_string(), |n| format!("did you mean `{n}`?"));
        return Err(Diagnostic::error(format!("there is no model `{name}`")).hint(hint).into());
    };
    let a = model.about();
    crate::out::say!("{}\n  {}\n  {}\ncolumns", a.name, a.equation, a.reference);
    for c in a.columns {
        crate::out::say!("  {:<10} {}{}", c.name, c.about, c.default.map_or(String::new(), |d| format!(" (default {d})")));
    }
    crate::out::say!("parameters, and the experiment that determines each");
    for c in a.coefficients {
        crate::out::say!("  {:<14} {:<12} {}", c.name, c.unit, c.experiment);
    }
    a.derived.iter().for_each(|d| crate::out::say!("  {:<14} {:<12} follows", d.name, d.unit));
    a.open.iter().for_each(|o| crate::out::say!("never determined: {o}"));
    Ok(0)
}
