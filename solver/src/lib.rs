//! Shapes, materials, drives, steppers, relaxation, experiments and records
