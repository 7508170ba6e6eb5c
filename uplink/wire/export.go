package wire

// ExportHead begins the first line of a journal that is carried to the backend by hand: "purselane-export-1 TERMINAL EPOCH FIRST
// LAST", the epoch in hexadecimal digits. Each further line is an envelope in base64, as it would have travelled.
//
//   - 1: 2026-11-24: first
const ExportHead = "purselane-export-1"
