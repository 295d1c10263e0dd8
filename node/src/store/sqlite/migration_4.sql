-- Migration 4.

-- A membership document in parts: what came since a part was written comes behind it.
CREATE TABLE group_document_parts (
    id       BLOB NOT NULL,
    part     INTEGER NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (id, part)
) STRICT;
INSERT INTO group_document_parts (id, part, document) SELECT id, 0, document FROM group_documents;
DROP TABLE group_documents;
ALTER TABLE group_document_parts RENAME TO group_documents;
