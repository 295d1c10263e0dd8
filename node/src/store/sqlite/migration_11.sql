-- Migration 11.

-- Up to where a member's devices wrote, as whoever let this user in said: of those who are there it was said to nobody.
ALTER TABLE members ADD COLUMN written BLOB NOT NULL DEFAULT x'';
