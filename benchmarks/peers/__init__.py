"""How good and how fast are other packages' forecasts of the same curves, alone and with a study's other runs?"""
