"""How good are the forecasts of real curves, beside simpler ways and on domains left out?"""
