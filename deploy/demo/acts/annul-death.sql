-- The clerk voids the line that should never have been.
INSERT INTO vaghaye_hayat (noe, kod_melli, tarikh_asar, payam_ghabli)
SELECT 'batel', kod_melli, tarikh_asar, payam FROM vaghaye_hayat WHERE payam = %(payam)s
