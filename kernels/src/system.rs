//! The description of what is simulated. It owns no device and can be printed, compared and hashed.

use crate::material::{Material, ParameterId};
use crate::mesh::Mesh;
use crate::region::RegionMap;
use crate::terms::Term;
use crate::terms::custom::CustomField;
use crate::terms::demag::tensor::DemagKernel;

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
    /// How the demagnetising tensor is computed.
    pub demag: DemagKernel,
    /// A field that the user defines, where [`Term::Custom`] is active.
    pub custom: Option<CustomField>,
}

impl System {
    /// One replica of one material; the terms are those whose parameters are not zero, and demagnetisation.
    pub fn new(mesh: Mesh, regions: RegionMap, material: Material) -> Self {
        let mut system = Self {
            mesh,
            regions,
            terms: Vec::new(),
            replicas: vec![Replica { material, regions: None, id: 0 }],
            seed: 0,
            demag: DemagKernel::default(),
            custom: None,
        };
        if mesh.stack.is_some() {
            // Regions across several layers are found by [`System::impossible`].
            system.replicas[0].material.layers = system.regions.layers(&mesh).unwrap_or_default();
        }
        system.terms = system.terms_in_use();
        system
    }

    /// The terms that some replica's parameters call for, in the order of the list; demagnetisation always.
    pub fn terms_in_use(&self) -> Vec<Term> {
        let asked = |t: &Term| *t != Term::Custom || self.custom.is_some();
        Term::ALL.iter().copied().filter(|t| asked(t) && self.replicas.iter().any(|r| t.in_use(&r.material))).collect()
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

    /// What no device can do with this system, in words, if there is something.
    pub fn impossible(&self) -> Option<String> {
        let both = self.terms.contains(&Term::InterfacialDmi) && self.terms.contains(&Term::BulkDmi);
        let both =
            both.then(|| "Dind and Dbulk together: the boundary condition of one of them must be chosen; set one to zero".to_string());
        both.or_else(|| self.unfollowed()).or_else(|| self.unstackable())
    }

    /// What a stack cannot hold, in words.
    fn unstackable(&self) -> Option<String> {
        let stack = self.mesh.stack?;
        if stack.count() != self.mesh.n[2] {
            return Some(format!("the stack has {} layers, the mesh {}", stack.count(), self.mesh.n[2]));
        }
        if self.mesh.pbc[2] > 0 {
            return Some("a stack cannot be periodic along z".into());
        }
        if self.demag != DemagKernel::Newell && self.terms.contains(&Term::Demag) {
            return Some("a stack has the exact demagnetising tensor only".into());
        }
        if self.terms.contains(&Term::BulkDmi) {
            return Some("bulk DMI needs cells of one thickness: use a regular mesh".into());
        }
        (0..self.replicas.len()).find_map(|r| match self.regions_of(r).layers(&self.mesh) {
            Err(region) => Some(format!("region {region} lies in layers of the stack that are not alike; give each a region of its own")),
            Ok(layers) if layers != self.replicas[r].material.layers => {
                Some("the material does not say which layers its regions lie in".into())
            }
            Ok(_) => None,
        })
    }

    /// Whether some term looks at the partners of [`crate::region::partners`].
    pub fn partnered(&self) -> bool {
        self.terms.iter().any(|t| t.gpu().partnered > 0)
    }

    /// Along how many axes cells have neighbours or ghosts that matter: a single layer has none along z, but for bulk DMI, whose boundary condition
    /// turns m there.
    pub fn axes(&self) -> usize {
        if self.mesh.n[2] > 1 || self.terms.contains(&Term::BulkDmi) { 3 } else { 2 }
    }

    /// The regions of a replica.
    pub fn regions_of(&self, replica: usize) -> &RegionMap {
        self.replicas[replica].regions.as_ref().unwrap_or(&self.regions)
    }
}
