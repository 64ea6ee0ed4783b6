//! The description of what is simulated. It owns no device and can be printed, compared and hashed.

use crate::material::{Material, ParameterId};
use crate::mesh::Mesh;
use crate::region::RegionMap;
use crate::terms::Term;

/// What one member of an ensemble has of its own. Members share mesh and terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Replica {
    /// Parameters of every region.
    pub material: Material,
    /// Regions and geometry, where they differ from [`System::regions`] (grains: device-to-device spread).
    pub regions: Option<RegionMap>,
    /// Key of its thermal noise, together with [`System::seed`].
    pub id: u64,
}

/// A magnetic system: an ensemble of one or more replicas on one mesh.
#[derive(Clone, Debug, PartialEq)]
pub struct System {
    /// The mesh.
    pub mesh: Mesh,
    /// Region of every cell.
    pub regions: RegionMap,
    /// The active terms, in the order of the list of terms.
    pub terms: Vec<Term>,
    /// The members.
    pub replicas: Vec<Replica>,
    /// Seed of the thermal noise.
    pub seed: u64,
}

impl System {
    /// One replica of one material; the terms are those whose parameters are not zero, and demagnetisation.
    pub fn new(mesh: Mesh, regions: RegionMap, material: Material) -> Self {
        let mut system = Self { mesh, regions, terms: Vec::new(), replicas: vec![Replica { material, regions: None, id: 0 }], seed: 0 };
        system.terms = system.terms_in_use();
        system
    }

    /// The terms that some replica's parameters call for, in the order of the list; demagnetisation always.
    pub fn terms_in_use(&self) -> Vec<Term> {
        Term::ALL.iter().copied().filter(|t| self.replicas.iter().any(|r| t.in_use(&r.material))).collect()
    }

    /// The parameters that active terms follow in time, each once.
    pub fn followed(&self) -> Vec<ParameterId> {
        let mut list: Vec<ParameterId> = Vec::new();
        for parameter in self.terms.iter().flat_map(|t| t.follows()) {
            if !list.contains(&parameter) {
                list.push(parameter);
            }
        }
        list
    }

    /// A parameter with a waveform that no active term follows, in words, if there is one.
    pub fn unfollowed(&self) -> Option<String> {
        let followed = self.followed();
        let mut all = self.replicas.iter().flat_map(|r| &r.material.waveforms);
        all.find(|(p, _)| !followed.contains(p)).map(|(p, _)| format!("no active term follows a waveform of {}", p.info().name))
    }

    /// The regions of a replica.
    pub fn regions_of(&self, replica: usize) -> &RegionMap {
        self.replicas[replica].regions.as_ref().unwrap_or(&self.regions)
    }
}
