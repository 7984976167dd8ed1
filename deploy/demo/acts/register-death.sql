-- A clerk of the civil registry registers a death, and mistypes whose it is.
INSERT INTO vaghaye_hayat (noe, kod_melli, vaziyat, tarikh_fowt, shomare_gavahi, tarikh_asar)
VALUES ('sabt', %(national_id)s, 'fowt', %(day)s, 'D-4410077', %(day)s)
RETURNING payam
