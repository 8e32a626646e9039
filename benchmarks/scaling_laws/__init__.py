"""How far off are scaling laws beyond the sizes seen, beside least squares of the usual forms?"""
