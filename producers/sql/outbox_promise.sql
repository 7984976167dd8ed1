-- A promise, and the sequence after it.
WITH promised AS (
  INSERT INTO {schema}.promises (
    source, first_sequence, since_xid, since_number, until_xid, until_number, keys, lengths, contents
  ) VALUES (
    %(source)s, %(first_sequence)s, %(since_xid)s::text::xid8, %(since_number)s, %(until_xid)s::text::xid8,
    %(until_number)s, %(keys)s, %(lengths)s, %(contents)s
  )
)
UPDATE {schema}.sources SET next_sequence = %(next_sequence)s WHERE source = %(source)s
