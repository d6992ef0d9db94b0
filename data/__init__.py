"""The simulated company and its reference data: what stands outside the gates. Real data never lives here."""
