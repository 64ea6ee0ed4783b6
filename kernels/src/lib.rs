//! Mesh, fields, terms, plans and the devices that run them
