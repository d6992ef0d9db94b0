"""The simulated core bank: it keeps the books of the simulated company's payments, and makes mistakes."""
