//! The description of what is simulated. It owns no device and can be printed, compared and hashed.

use crate::material::{Cellwise, Material, ParameterId};
use crate::mesh::Mesh;
use crate::region::RegionMap;
use crate::terms::Term;
use crate::terms::custom::CustomField;
use crate::terms::demag::tensor::DemagKernel;
use std::borrow::Cow;
use std::collections::HashMap;

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
    /// Parameters with values per cell. Devices take systems without: [`System::expanded`].
    pub cellwise: Vec<Cellwise>,
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
            cellwise: Vec::new(),
            custom: None,
        };
        if mesh.stack.is_some() {
            // Regions across several layers are found by [`System::impossible`].
            system.replicas[0].material.layers = system.regions.layers(&mesh).unwrap_or_default();
        }
        system.terms = system.terms_in_use();
        system
    }

    /// The factor of Msat in every cell, where [`System::cellwise`] has any.
    pub fn moment_factors(&self) -> Option<Vec<f64>> {
        let mut of_msat = self.cellwise.iter().filter(|c| c.parameter == ParameterId::Msat).peekable();
        of_msat.peek()?;
        Some(of_msat.fold(vec![1.0; self.mesh.cells()], |product, c| product.iter().zip(c.factors.iter()).map(|(a, b)| a * b).collect()))
    }

    /// The same system for a device: a region for every region and set of factors that occur together, numbered in the order of the cells, the same
    /// for all replicas.
    ///
    /// # Errors
    /// In words: more than 65535 of them, or something per cell that is not.
    pub fn expanded(&self) -> Result<Cow<'_, Self>, String> {
        self.expanded_for(|_| true)
    }

    /// [`System::expanded`] in which only some replicas' materials are: the others keep theirs, and must not be asked.
    ///
    /// # Errors
    /// As there.
    pub fn expanded_for(&self, asked: impl Fn(usize) -> bool) -> Result<Cow<'_, Self>, String> {
        if self.cellwise.is_empty() {
            return Ok(Cow::Borrowed(self));
        }
        let cells = self.mesh.cells();
        for c in &self.cellwise {
            let name = c.parameter.info().name;
            if c.factors.len() != cells {
                return Err(format!("{} factors of {name} for {cells} cells", c.factors.len()));
            }
            if let Some(f) = c.factors.iter().find(|f| !f.is_finite()) {
                return Err(format!("a cell's factor of {name} is {f}"));
            }
            if let Some(f) = c.factors.iter().find(|f| **f < 0.0 && c.parameter.info().minimum.is_some()) {
                return Err(format!("a cell's factor of {name} is {f}, and {name} cannot be below zero"));
            }
        }
        if self.replicas.iter().any(|r| r.material.drive.is_some()) {
            return Err("parameters that follow functions of their own cannot have values per cell".into());
        }
        // A part is known by its region and a cell that has its factors.
        let mut known: HashMap<(u16, Vec<u64>), u16> = HashMap::new();
        let mut parts: Vec<(u16, usize)> = Vec::new();
        let mut parted = |map: &RegionMap| -> Result<RegionMap, String> {
            let mut map = map.clone();
            for (i, region) in map.cells.iter_mut().enumerate().filter(|c| *c.1 != RegionMap::VACUUM) {
                let key = (*region, self.cellwise.iter().map(|c| c.factors[i].to_bits()).collect());
                *region = match known.get(&key) {
                    Some(part) => *part,
                    None if parts.len() == usize::from(RegionMap::VACUUM) => {
                        return Err(format!("more than {} cells that differ; round the factors", RegionMap::VACUUM));
                    }
                    None => {
                        let part = parts.len() as u16;
                        parts.push((*region, i));
                        known.insert(key, part);
                        part
                    }
                };
            }
            Ok(map)
        };
        let mut system = Self { cellwise: Vec::new(), regions: parted(&self.regions)?, ..self.clone() };
        for replica in &mut system.replicas {
            replica.regions = replica.regions.as_ref().map(&mut parted).transpose()?;
        }
        let count = parts.len();
        for map in std::iter::once(&mut system.regions).chain(system.replicas.iter_mut().filter_map(|r| r.regions.as_mut())) {
            map.count = count;
        }
        for (_, replica) in system.replicas.iter_mut().enumerate().filter(|(r, _)| asked(*r)) {
            let material = &mut replica.material;
            let of = |(region, cell): &(u16, usize)| {
                let mut v = material.regions[usize::from(*region)].clone();
                for c in &self.cellwise {
                    v.set(c.parameter, v.vector(c.parameter).map(|x| x * c.factors[*cell]));
                }
                v
            };
            let regions = parts.iter().map(of).collect();
            material.bases = parts.iter().map(|(region, _)| material.base(*region)).collect();
            if !material.layers.is_empty() {
                material.layers = parts.iter().map(|(region, _)| material.layers[usize::from(*region)]).collect();
            }
            material.regions = regions;
        }
        Ok(Cow::Owned(system))
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
    pub fn unstackable(&self) -> Option<String> {
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
            Ok(layers) if self.replicas[r].material.bases.is_empty() && layers != self.replicas[r].material.layers => {
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
