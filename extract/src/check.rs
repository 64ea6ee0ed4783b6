//! Whether a card makes sense as a whole: model, units, intervals, and the records behind it where they are there.

use crate::models;
use spinloom_base::units::parse_unit;
use spinloom_base::{Diagnostic, Problems};
use spinloom_card::Card;
use std::path::Path;

/// Checks a card beyond its format; what could not be checked.
///
/// # Errors
/// Units that cannot be read, values outside their own intervals, parameters that the model has and the card neither states nor calls undetermined, a
/// record that is no longer the one behind the card.
pub fn check(card: &Card, path: &Path) -> Result<Vec<String>, Problems> {
    let file = path.display().to_string();
    let mut problems = Problems::new();
    let mut notes = Vec::new();
    for (name, p) in &card.parameters {
        if let Err(part) = parse_unit(&p.unit) {
            problems.push(Diagnostic::file(&file, format!("`{part}` in the unit `{}` of `{name}` is not a unit", p.unit)));
        }
        // A bootstrap's interval may lie beside a biased value; far outside it is a mistake.
        if let Some([low, high]) = p.interval
            && (p.value < low - (high - low) || p.value > high + (high - low))
        {
            problems.push(Diagnostic::file(&file, format!("`{name}` = {:e} lies far outside its interval, {low:e} to {high:e}", p.value)));
        }
    }
    match models::find(&card.model.name) {
        None => notes.push(format!("model `{}` is not one of this program, so its parameters are not checked", card.model.name)),
        Some(model) => {
            for c in model.about().coefficients {
                let open = card.undetermined.iter().any(|u| u.starts_with(&format!("{}:", c.name)));
                if !card.parameters.contains_key(c.name) && !open {
                    problems.push(Diagnostic::file(
                        &file,
                        format!("parameter `{}` of model `{}` is neither given nor called undetermined", c.name, card.model.name),
                    ));
                }
            }
        }
    }
    for r in &card.records {
        // Beside the card, or where the path says.
        let places = [path.parent().unwrap_or(Path::new(".")).join(&r.path), Path::new(&r.path).to_path_buf()];
        match places.iter().find(|p| p.is_file()).map(|p| spinloom_base::hash::of_file(p)) {
            Some(Ok(hash)) if hash == r.sha256 => {}
            Some(Ok(_)) => problems
                .push(Diagnostic::file(&file, format!("`{}` has changed since the card was made from it", r.path)).hint("extract again")),
            Some(Err(e)) => notes.push(format!("`{}` cannot be read: {e}", r.path)),
            None => notes.push(format!("`{}` is not here, so it is not checked", r.path)),
        }
    }
    problems.into_result(Some(notes))
}
