-- The labour office grants the unemployment benefit.
INSERT INTO moghararri_bikari (noe_taghyir, kod_melli, bar_gharar, tedad_mah, mablagh_toman, az, sabt_shode, payam_id)
VALUES ('N', %(national_id)s, true, 12, 9240000, %(day)s, now(), uuidv7())
