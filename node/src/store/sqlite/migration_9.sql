-- Migration 9.

-- An entry is named as a parent only by entries of its own conversation.
UPDATE entries SET is_head = NOT EXISTS (
    SELECT 1 FROM parents JOIN entries AS children ON children.id = child
    WHERE parent = entries.id AND children.conversation = entries.conversation
);
